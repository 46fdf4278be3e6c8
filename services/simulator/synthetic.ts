import { Chance } from './chance.ts';
import { type Workload, WorkloadBuilder } from './workload.ts';

/** Kinds of traffic that can be made up. */
export const trafficKinds = ['steady', 'diurnal', 'bursty', 'rare'] as const;
export type TrafficKind = (typeof trafficKinds)[number];

/** Seeds that settings may be tuned by. */
export const tuningSeeds: readonly number[] = [1, 2, 3, 4, 5];
/** Seeds that nothing was tuned by: what is claimed is claimed of these. */
export const heldOutSeeds: readonly number[] = [101, 102, 103, 104, 105];

/** What traffic to make up. */
export interface SyntheticSpec {
  readonly kind: TrafficKind;
  readonly seeds: readonly number[];
  /** Predictions an hour, on average. */
  readonly rate: number;
  readonly hours: number;
  /** Seconds that one runs, on average, and their deviation ÷ mean (log-normal). */
  readonly run: number;
  readonly variation: number;
  /** diurnal: how far a day goes up and down around its average, 0 to 1. */
  readonly swing: number;
  /** bursty: predictions of one burst, and hours between two on average. */
  readonly burst: number;
  readonly every: number;
  readonly pools: number;
}

const common = { hours: 24, run: 5, variation: 1, swing: 0.9, burst: 40, every: 2, pools: 1 };
const defaultsByKind: Readonly<Record<TrafficKind, Omit<SyntheticSpec, 'kind' | 'seeds'>>> = {
  steady: { ...common, rate: 1800 },
  diurnal: { ...common, rate: 1200 },
  bursty: { ...common, rate: 60 },
  rare: { ...common, hours: 168, rate: 0.5 },
};

const ranges: Readonly<Record<string, readonly [least: number, most: number]>> = {
  rate: [0.001, 1e7],
  hours: [0.01, 24 * 366],
  run: [0.001, 86_400],
  variation: [0, 10],
  swing: [0, 1],
  burst: [1, 1e6],
  every: [0.001, 1e4],
  pools: [1, 10_000],
};
/** Most jobs that are made up: each takes some 50 bytes. */
const mostJobs = 20_000_000;

/** How a specification is written, for people. */
export const specGrammar = `SPEC is KIND[:NAME=VALUE,…], such as diurnal:rate=600,run=8,seed=held-out
  steady    comes evenly by chance (Poisson)          diurnal   goes up and down once a day, by swing
  bursty    some at a time, beside a little all day   rare      a few a day
  rate      predictions an hour, on average           hours     how long
  run       seconds that one runs, on average         variation of the run time: deviation ÷ mean (log-normal)
  swing     of a day around its average, 0 to 1       burst     predictions of one burst; every: hours between two
  pools     that share it, the first the most         seed      a number, tuning (${tuningSeeds.join(' ')}) or held-out (${heldOutSeeds.join(' ')})`;

/** A specification is mistaken. The message is for people. */
export class SpecError extends Error {
  override name = 'SpecError';
}

/**
 * Reads a specification such as `bursty:rate=60,seed=held-out`.
 * @throws SpecError
 */
export function parseSpec(text: string): SyntheticSpec {
  const [, name = '', settings = ''] = /^([^:]*):?(.*)$/s.exec(text) ?? [];
  const kind = trafficKinds.find((known) => known === name);
  if (!kind) throw new SpecError(`There is no traffic "${name}": there are ${trafficKinds.join(', ')}.`);
  const values: Record<string, number> = {};
  let seeds: readonly number[] = [1];
  for (const setting of settings === '' ? [] : settings.split(',')) {
    const [key = '', value = ''] = setting.split('=');
    if (key === 'seed') seeds = parseSeeds(value);
    else values[key] = parseValue(key, value);
  }
  const spec = { ...defaultsByKind[kind], ...values, kind, seeds };
  if (expectedJobs(spec) > mostJobs) {
    throw new SpecError(`That is over ${mostJobs} predictions: take fewer hours, or a smaller rate.`);
  }
  return { ...spec, burst: Math.round(spec.burst), pools: Math.round(spec.pools) };
}

function expectedJobs({ rate, hours, burst, every, kind }: SyntheticSpec): number {
  return hours * (rate + (kind === 'bursty' ? burst / every : 0));
}

function parseValue(key: string, value: string): number {
  const range = ranges[key];
  if (!range) {
    throw new SpecError(`There is no setting "${key}": there are ${Object.keys(ranges).join(', ')}, seed.`);
  }
  const number = Number(value);
  if (value === '' || !(number >= range[0] && number <= range[1])) {
    throw new SpecError(`${key} is "${value}": it takes a number from ${range[0]} to ${range[1]}.`);
  }
  return number;
}

function parseSeeds(value: string): readonly number[] {
  if (value === 'tuning') return tuningSeeds;
  if (value === 'held-out') return heldOutSeeds;
  if (!/^\d{1,9}$/.test(value)) {
    throw new SpecError(`seed is "${value}": it takes a whole number, tuning or held-out.`);
  }
  return [Number(value)];
}

/** The traffic of one seed. */
export function makeWorkload(spec: SyntheticSpec, seed: number): Workload {
  const chance = new Chance(seed);
  const builder = new WorkloadBuilder(`${spec.kind}, seed ${seed}`);
  const { hours, rate, burst, every } = spec;
  const horizonMs = hours * 3_600_000;
  const add = (at: number) => {
    // Falls as Zipf's law does: the first pool has the most.
    const pool = Math.floor((spec.pools + 1) ** chance.next());
    builder.add(`pool-${pool}`, at, chance.lognormal(spec.run, spec.variation) * 1000);
  };
  const most = rate * (spec.kind === 'diurnal' ? 1 + spec.swing : 1);
  for (let at = gap(chance, most); at < horizonMs; at += gap(chance, most)) {
    // Thinning: of a process at the highest rate, those that the rate of the moment has.
    if (spec.kind !== 'diurnal' || chance.next() * most < rate * dayShape(at, spec.swing)) add(at);
  }
  if (spec.kind === 'bursty') {
    const within = 30_000;
    for (let at = gap(chance, 1 / every); at < horizonMs; at += gap(chance, 1 / every)) {
      for (let job = 0; job < burst; job++) add(Math.min(horizonMs, at + chance.next() * within));
    }
  }
  return builder.build(horizonMs);
}

/** ms to the next, at so many an hour. */
function gap(chance: Chance, perHour: number): number {
  return chance.exponential(3_600_000 / perHour);
}

/** 1 on average over a day, least at its start. */
function dayShape(at: number, swing: number): number {
  return 1 - swing * Math.cos((2 * Math.PI * at) / 86_400_000);
}
