import { describe, expect, it } from 'vitest';
import { figuresOf, latenessOf, spread, summarizeLoad } from '../../bench/summary.ts';

const hundred = Array.from({ length: 101 }, (_, index) => index);

function figures(p50Ms: number, perSecond: number) {
  return { p50Ms, p95Ms: 2 * p50Ms, p99Ms: 3 * p50Ms, perSecond, retriesEach: 0.5 };
}

describe('a round', () => {
  it('has its percentiles, and its throughput by the time that passed', () => {
    const round = figuresOf({ latenciesMs: hundred, elapsedMs: 2000, retries: 202, uncounted: 1 });
    expect(round).toEqual({ p50Ms: 50, p95Ms: 95, p99Ms: 99, perSecond: 50.5, retriesEach: 2 });
  });

  it('that answered nothing is an error, not a zero', () => {
    expect(() => figuresOf({ latenciesMs: [], elapsedMs: 1, retries: 0, uncounted: 1 })).toThrow(
      'Nothing was measured',
    );
  });
});

describe('rounds in pairs', () => {
  it('are compared within each pair, so that a slow moment of both sides does not count', () => {
    const pairs = [
      { bare: figures(1, 1000), mimeo: figures(2, 900) },
      { bare: figures(10, 100), mimeo: figures(20, 90) },
      { bare: figures(1, 1000), mimeo: figures(2, 900) },
    ];
    const { comparisons } = summarizeLoad(1, pairs);
    expect(comparisons.p50Ms.ratio).toEqual({ median: 2, least: 2, most: 2 });
    expect(comparisons.perSecond.ratio.median).toBeCloseTo(0.9);
    expect(comparisons.p50Ms.mimeo).toEqual({ median: 2, least: 2, most: 20 });
  });
});

it('a spread is the middle and both ends, in whatever order the values came', () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, least: 1, most: 3 });
});

it('the lateness of tokens tells the worst one, too', () => {
  expect(latenessOf(hundred)).toEqual({ p50Ms: 50, p95Ms: 95, mostMs: 100, count: 101 });
});
