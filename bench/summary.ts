import { percentile } from '../services/core/percentile.ts';
import type { RoundResult } from './load.ts';

/** A value measured several times. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** What one round on one server came to. */
export interface RoundFigures {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  /** Times that Cog answered 409, for each prediction. */
  readonly retriesEach: number;
}

/** Two rounds that followed each other at once, one on each server. */
export interface RoundPair {
  readonly bare: RoundFigures;
  readonly mimeo: RoundFigures;
}

export type Measure = 'p50Ms' | 'p95Ms' | 'p99Ms' | 'perSecond';

/** One measure on both sides. Ratios are Mimeo to bare Cog, taken within each pair: a noisy moment hits both. */
export interface Comparison {
  readonly bare: Spread;
  readonly mimeo: Spread;
  readonly ratio: Spread;
}

export interface LoadSummary {
  readonly clients: number;
  readonly comparisons: Readonly<Record<Measure, Comparison>>;
  readonly retriesEach: Spread;
}

/** @throws Error where there is nothing to summarize */
export function spread(values: readonly number[]): Spread {
  return { median: share(values, 0.5), least: share(values, 0), most: share(values, 1) };
}

export function figuresOf({ latenciesMs, elapsedMs, retries }: RoundResult): RoundFigures {
  return {
    p50Ms: share(latenciesMs, 0.5),
    p95Ms: share(latenciesMs, 0.95),
    p99Ms: share(latenciesMs, 0.99),
    perSecond: (latenciesMs.length / elapsedMs) * 1000,
    retriesEach: retries / latenciesMs.length,
  };
}

export function summarizeLoad(clients: number, pairs: readonly RoundPair[]): LoadSummary {
  const compare = (measure: Measure): Comparison => ({
    bare: spread(pairs.map(({ bare }) => bare[measure])),
    mimeo: spread(pairs.map(({ mimeo }) => mimeo[measure])),
    ratio: spread(pairs.map(({ bare, mimeo }) => mimeo[measure] / bare[measure])),
  });
  return {
    clients,
    comparisons: {
      p50Ms: compare('p50Ms'),
      p95Ms: compare('p95Ms'),
      p99Ms: compare('p99Ms'),
      perSecond: compare('perSecond'),
    },
    retriesEach: spread(pairs.map(({ bare }) => bare.retriesEach)),
  };
}

/** How late tokens came, in milliseconds after the model had yielded them. */
export interface Lateness {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly mostMs: number;
  readonly count: number;
}

export function latenessOf(values: readonly number[]): Lateness {
  return {
    p50Ms: share(values, 0.5),
    p95Ms: share(values, 0.95),
    mostMs: share(values, 1),
    count: values.length,
  };
}

function share(values: readonly number[], p: number): number {
  const value = percentile(values, p);
  if (value === null) throw new Error('Nothing was measured; let a round last longer');
  return value;
}
