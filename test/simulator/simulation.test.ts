import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultPolicy, type ScalingPolicy } from '../../services/core/scaling.ts';
import { compare } from '../../services/simulator/compare.ts';
import { fixedScaler } from '../../services/simulator/scalers/fixed.ts';
import { kedaScaler } from '../../services/simulator/scalers/keda.ts';
import { knativeScaler } from '../../services/simulator/scalers/knative.ts';
import { mimeoScaler } from '../../services/simulator/scalers/mimeo.ts';
import { simulate } from '../../services/simulator/simulation.ts';
import { makeWorkload, parseSpec } from '../../services/simulator/synthetic.ts';
import { aWorkload, aWorld, waitsOf } from './worlds.ts';

function mimeo(policy: Partial<ScalingPolicy> = {}) {
  return mimeoScaler({ ...defaultPolicy, ...policy });
}

describe('by hand', () => {
  test('one job from zero waits for a machine, the pull and the setup, and for nothing else', () => {
    const trail = simulate({ workload: aWorkload([[0, 5]]), world: aWorld(), scaler: mimeo() });

    expect(waitsOf(trail)).toEqual([60 + 40 + 10]);
    expect([...trail.cold]).toEqual([1]);
    expect(trail.endMs).toBe(115_000);
    expect(trail.machineMs).toBe(115_000);
    expect(trail.busyMs).toBe(5000);
  });

  test('a machine that stands by is sooner there', () => {
    const world = aWorld({ machines: { stopped: 1 } });
    const trail = simulate({ workload: aWorkload([[0, 5]]), world, scaler: mimeo() });

    expect(waitsOf(trail)).toEqual([20 + 40 + 10]);
  });

  test('a warm instance takes a job at once; after the idle time there is none', () => {
    const jobs = [
      [0, 5],
      [150, 5],
      [400, 5],
    ] as const;
    const trail = simulate({ workload: aWorkload(jobs), world: aWorld(), scaler: mimeo() });

    // The third finds the machine, with the image on its disk.
    expect(waitsOf(trail)).toEqual([110, 0, 10]);
    expect([...trail.cold]).toEqual([1, 0, 1]);
  });

  test('an instance and its machine go when they have had nothing to do for their times', () => {
    const workload = aWorkload([[0, 5]], 3600);
    const trail = simulate({ workload, world: aWorld(), scaler: mimeo({ idleSeconds: 60 }) });

    expect(trail.instanceMs).toBe((110 + 5 + 60) * 1000);
    expect(trail.machineMs).toBe((110 + 5 + 60 + 600) * 1000);
  });

  test('the second job of a burst gets an instance of its own, and a machine holds one of each', () => {
    const jobs = [
      [0, 500],
      [0, 500],
    ] as const;
    const trail = simulate({ workload: aWorkload(jobs), world: aWorld(), scaler: mimeo() });
    // The first is looked at by itself; the second at the director's next look, 50 ms later.
    expect(waitsOf(trail)).toEqual([110, 110.05]);
    expect(trail.peakMachines).toBe(2);

    const shared = simulate({
      workload: aWorkload(jobs),
      world: aWorld({ machines: { slots: 2 } }),
      scaler: mimeo(),
    });
    expect(waitsOf(shared)).toEqual([110, 110]);
    expect(shared.peakMachines).toBe(1);
  });

  test('instances that find no machine get the place of one that goes', () => {
    const world = aWorld({ machines: { max: 1 }, maxInstances: 2 });
    const jobs = [
      [0, 5, 'a'],
      [1, 5, 'b'],
    ] as const;
    const trail = simulate({ workload: aWorkload(jobs), world, scaler: mimeo({ idleSeconds: 60 }) });

    // a goes at 110 + 5 + 60; then b pulls and sets up.
    expect(waitsOf(trail)[1]).toBe(175 + 40 + 10 - 1);
  });

  test('a fleet that is too small for all pools is divided between them', () => {
    const jobs = [...Array(20).keys()].flatMap((at) => [
      [at, 20, 'a'] as const,
      [at, 20, 'b'] as const,
      [at, 20, 'c'] as const,
    ]);
    const trail = simulate({ workload: aWorkload(jobs), world: aWorld(), scaler: mimeo() });

    expect(trail.peakInstances).toBeLessThanOrEqual(4);
    expect(waitsOf(trail).slice(0, 3)).toEqual([110, 110.05, 110.05]);
  });

  test('an ETA is off by nothing where all goes as it did before', () => {
    const jobs = [...Array(5).keys()].map((at) => [at * 4000, 5] as const);
    const trail = simulate({ workload: aWorkload(jobs), world: aWorld(), scaler: mimeo() });

    expect(trail.foretold.slice(1)).toEqual(Array(4).fill({ p50: 110, came: 110 }));
  });

  test('always on: nobody waits but for those before, and it is paid from the first moment to the last', () => {
    const jobs = [
      [10, 5],
      [11, 5],
    ] as const;
    const scaler = fixedScaler('fixed', '', [1]);
    const trail = simulate({ workload: aWorkload(jobs, 3600), world: aWorld(), scaler });

    expect(waitsOf(trail)).toEqual([0, 4]);
    expect(trail.machineMs).toBe(3_600_000);
  });

  test('KEDA sees a job at its next poll, and keeps the last instance for its cooldown', () => {
    const trail = simulate({
      workload: aWorkload([[1, 5]], 3600),
      world: aWorld(),
      scaler: kedaScaler(4),
    });

    expect(waitsOf(trail)).toEqual([29 + 110]);
    // Started at 30, ended its job at 145; the last poll with a message is that at 120.
    expect(trail.instanceMs).toBe((120 + 300 - 30) * 1000);
  });

  test('KEDA starts one, then as many as there are messages', () => {
    const jobs = [...Array(3).keys()].map(() => [1, 500] as const);
    const trail = simulate({ workload: aWorkload(jobs), world: aWorld(), scaler: kedaScaler(4) });

    expect(waitsOf(trail)).toEqual([139, 169, 169]);
  });

  test('Knative starts one at once, and lets it go after its window and its grace', () => {
    const trail = simulate({
      workload: aWorkload([[1, 5]], 3600),
      // One that waits is 1 ÷ 1.4 of an instance; of one slot each it would have asked for two.
      world: aWorld({ concurrency: 2 }),
      scaler: knativeScaler(4),
    });

    expect(waitsOf(trail)).toEqual([110]);
    // Its job ends at 116. The window is empty at 176, and 30 s later it goes.
    expect(trail.instanceMs).toBe((206 - 1) * 1000);
  });

  test('Knative asks for as many as have the jobs on 70 % of their slots', () => {
    const jobs = [...Array(4).keys()].map(() => [1, 5000] as const);
    const world = aWorld({ maxInstances: 9, machines: { max: 9 } });
    const trail = simulate({ workload: aWorkload(jobs), world, scaler: knativeScaler(9) });

    // 4 ÷ 0.7
    expect(trail.peakInstances).toBe(6);
  });
});

test('a comparison ends between two runs where it is told to', async () => {
  const stop = new Error('stop');
  let runs = 0;
  const between = async () => {
    runs += 1;
    if (runs === 3) throw stop;
  };
  const workloads = [aWorkload([[0, 5]])];

  await expect(compare({ workloads, world: aWorld(), policy: defaultPolicy, between })).rejects.toBe(stop);
  expect(runs).toBe(3);
});

describe('always', () => {
  const kinds = ['steady:hours=2,rate=900', 'diurnal:hours=24,rate=60', 'bursty:hours=6,rate=20,every=1'];
  const spec = fc.constantFrom(...kinds);
  const seed = fc.nat(1_000_000);
  const shape = fc.record({
    concurrency: fc.integer({ min: 1, max: 3 }),
    maxInstances: fc.integer({ min: 1, max: 5 }),
    slots: fc.integer({ min: 1, max: 3 }),
    pools: fc.integer({ min: 1, max: 4 }),
  });
  const scalers = ['mimeo', 'keda', 'knative'] as const;

  test('each job runs once, and no more at a time than instances and their slots allow', () => {
    fc.assert(
      fc.property(spec, seed, shape, fc.constantFrom(...scalers), (text, from, of, name) => {
        const workload = makeWorkload({ ...parseSpec(text), pools: of.pools }, from);
        const { concurrency, maxInstances } = of;
        const machines = { slots: of.slots, max: Math.ceil(maxInstances / of.slots) };
        const world = aWorld({ concurrency, maxInstances, machines });
        const max = maxInstances;
        const scaler = { mimeo: mimeo({ max }), keda: kedaScaler(max), knative: knativeScaler(max) }[name];

        const trail = simulate({ workload, world, scaler });

        expect(trail.waitMs.every((wait) => wait >= 0)).toBe(true);
        expect(trail.peakInstances).toBeLessThanOrEqual(maxInstances);
        expect(trail.peakMachines).toBeLessThanOrEqual(machines.max);
        expect(mostAtOnce(workload, trail.waitMs)).toBeLessThanOrEqual(machines.max * of.slots * concurrency);
        const runMs = workload.runMs.reduce((sum, run) => sum + run, 0);
        expect(trail.busyMs).toBeLessThanOrEqual(runMs + 1);
        expect(trail.busyMs * concurrency).toBeGreaterThanOrEqual(runMs - 1);
        expect(trail.instanceMs).toBeGreaterThanOrEqual(trail.busyMs - 1);
      }),
      { numRuns: 25 },
    );
  });

  // Not the same to the millisecond: how old the run times are that a look is told hangs on when it is taken.
  test.each([1, 2, 3])('looks that are spared would have changed next to nothing (seed %d)', (from) => {
    for (const text of kinds) {
      const workload = makeWorkload(parseSpec(text), from);
      const scaler = mimeo({ buffer: from - 1, max: 4 });
      // With no time between looks: else one that is spared lets the next one be sooner.
      const atOnce = { ...scaler, pace: { by: 'changes', spacingMs: 0 } as const };
      const spared = simulate({ workload, world: aWorld(), scaler: atOnce });
      const all = simulate({ workload, world: aWorld(), scaler: atOnce, everyLook: true });

      expect(spared.looks).toBeLessThanOrEqual(all.looks);
      expect(Math.abs(spared.instanceMs / all.instanceMs - 1)).toBeLessThan(0.01);
      expect(Math.abs(total(spared.waitMs) / total(all.waitMs) - 1)).toBeLessThan(0.01);
    }
  });

  test('the same words give the same bytes', async () => {
    const run = async () => {
      const spec = parseSpec('bursty:hours=4,seed=held-out,pools=3');
      const workloads = spec.seeds.map((seed) => makeWorkload(spec, seed));
      return JSON.stringify(await compare({ workloads, world: aWorld(), policy: defaultPolicy }));
    };

    expect(await run()).toBe(await run());
  });
});

function total(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Most jobs that ran at the same time, reckoned from the waits alone. */
function mostAtOnce(
  { arrivalMs, runMs }: { readonly arrivalMs: Float64Array; readonly runMs: Float64Array },
  waitMs: Float64Array,
): number {
  const marks = [...arrivalMs].flatMap((arrival, job) => {
    const begins = arrival + (waitMs[job] ?? 0);
    return [
      { at: begins, by: 1 },
      // The clock adds in another order: what ends as another begins does not run beside it.
      { at: begins + (runMs[job] ?? 0) - 1e-6, by: -1 },
    ];
  });
  marks.sort((a, b) => a.at - b.at || a.by - b.by);
  let now = 0;
  return marks.reduce((most, { by }) => {
    now += by;
    return Math.max(most, now);
  }, 0);
}
