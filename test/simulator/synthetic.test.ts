import { describe, expect, test } from 'vitest';
import {
  heldOutSeeds,
  makeWorkload,
  parseSpec,
  SpecError,
  trafficKinds,
  tuningSeeds,
} from '../../services/simulator/synthetic.ts';

describe('traffic that is made up', () => {
  test('has the rate and the run time that were asked for', () => {
    const workload = makeWorkload(parseSpec('steady:rate=3600,hours=10,run=2,variation=1'), 7);
    const jobs = workload.arrivalMs.length;

    expect(Math.abs(jobs / 36_000 - 1)).toBeLessThan(0.02);
    expect(Math.abs(workload.runMs.reduce((sum, run) => sum + run, 0) / jobs / 2000 - 1)).toBeLessThan(0.05);
  });

  test.each(trafficKinds)('%s comes in order and within its hours', (kind) => {
    const { arrivalMs, horizonMs, runMs } = makeWorkload(parseSpec(kind), 3);

    expect(arrivalMs.length).toBeGreaterThan(10);
    expect(arrivalMs.every((at, job) => at >= (arrivalMs[job - 1] ?? 0) && at <= horizonMs)).toBe(true);
    expect(runMs.every((run) => run > 0)).toBe(true);
  });

  test('a day goes up and down', () => {
    const { arrivalMs } = makeWorkload(parseSpec('diurnal:hours=24,swing=0.9,rate=1000'), 3);
    const between = (from: number, to: number) =>
      arrivalMs.filter((at) => at >= from * 3_600_000 && at < to * 3_600_000).length;

    expect(between(9, 15)).toBeGreaterThan(5 * between(21, 24));
  });

  test('pools share it, the first the most', () => {
    const { pools, pool } = makeWorkload(parseSpec('steady:pools=5,hours=2'), 3);
    const first = pools.indexOf('pool-1');

    expect(pools).toHaveLength(5);
    expect(pool.filter((one) => one === first).length).toBeGreaterThan(pool.length / 5);
  });

  test('seeds that were held out are none that settings are tuned by', () => {
    expect(heldOutSeeds.filter((seed) => tuningSeeds.includes(seed))).toEqual([]);
    expect(parseSpec('rare:seed=held-out').seeds).toEqual(heldOutSeeds);
    expect(parseSpec('rare:seed=tuning').seeds).toEqual(tuningSeeds);
    expect(parseSpec('rare:seed=9').seeds).toEqual([9]);
  });

  test('another seed is other traffic, the same is the same', () => {
    const spec = parseSpec('bursty');

    expect(makeWorkload(spec, 1)).toEqual(makeWorkload(spec, 1));
    expect(makeWorkload(spec, 1)).not.toEqual(makeWorkload(spec, 2));
  });

  test.each([
    ['weekly', 'There is no traffic "weekly": there are steady, diurnal, bursty, rare.'],
    ['steady:speed=1', 'There is no setting "speed": there are rate, hours, run,'],
    ['steady:rate=x', 'rate is "x": it takes a number from 0.001 to 10000000.'],
    ['steady:rate', 'rate is "": it takes a number'],
    ['steady:seed=x', 'seed is "x": it takes a whole number, tuning or held-out.'],
    ['steady:rate=10000000,hours=100', 'That is over 20000000 predictions'],
  ])('%s is mistaken, and how', (text, message) => {
    expect(() => parseSpec(text)).toThrow(SpecError);
    expect(() => parseSpec(text)).toThrow(message);
  });
});
