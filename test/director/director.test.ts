import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { firstCooldownMs } from '../../services/core/breaker.ts';
import type { Pool } from '../../services/core/pool.ts';
import { defaultPolicy, type ScalingPolicy } from '../../services/core/scaling.ts';
import { type Director, startDirector } from '../../services/director/app.ts';
import type { Fleet } from '../../services/ports/fleet/port.ts';
import { aPool, World } from './world.ts';

const pool = aPool('model');
const other = aPool('other');
let world: World;
let director: Director;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(async () => {
  await director.close();
  await world.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

async function start(capacity = 4, policy: Partial<ScalingPolicy> = {}): Promise<void> {
  world = new World(capacity);
  direct(policy);
  await pass(10_000);
}

function direct(policy: Partial<ScalingPolicy> = {}): void {
  const of = (_: Pool): ScalingPolicy => ({ ...defaultPolicy, max: 4, ...policy });
  director = startDirector({ protocol: world, fleet: world, policy: of });
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

function lastReport(of = pool) {
  return world.reports.findLast(({ state }) => state.pool === of.id)?.state;
}

describe('scaling', () => {
  test('a first job starts an instance at once, without waiting for a poll or a timer', async () => {
    await start();

    world.submit(pool);
    await pass(0);

    expect(world.instancesOf(pool)).toHaveLength(1);
    expect(lastReport()?.reason).toBe('1 job waits and nothing runs: start 1');
    await pass(world.setupMs + world.runMs);
    expect(world.done).toBe(1);
  });

  test('jobs that waited before the director started are served at once', async () => {
    world = new World();
    world.submit(pool);
    await world.demand({ waitSeconds: 0 });

    direct();
    await pass(0);

    expect(world.instancesOf(pool)).toHaveLength(1);
  });

  test('instances that a director before has left are stopped though nobody asks for them', async () => {
    world = new World();
    world.activeMs = 0;
    await world.apply(pool, 1);
    await pass(world.setupMs);
    const { capacity } = world;
    const fleet: Fleet = {
      capacity,
      apply: async (of, replicas) => world.apply(of, replicas),
      observe: async () => world.observe(),
      onChange: (listener) => world.onChange(listener),
      pools: () => [pool],
      close: async () => {},
    };
    const policy = () => ({ ...defaultPolicy, idleSeconds: 60 });

    director = startDirector({ protocol: world, fleet, policy });
    await pass(59_900);
    expect(world.instancesOf(pool)).toHaveLength(1);

    await pass(200);
    expect(world.instancesOf(pool)).toHaveLength(0);
  });

  test('an idle instance is stopped after its time, to the second', async () => {
    await start(4, { idleSeconds: 60 });
    world.submit(pool);
    await pass(world.setupMs + world.runMs);

    await pass(59_900);
    expect(world.instancesOf(pool)).toHaveLength(1);
    await pass(200);
    expect(world.instancesOf(pool)).toHaveLength(0);
    await pass(100);
    expect(lastReport()).toMatchObject({ desired: 0, instances: [] });
  });

  test('a job that comes while an instance boots does not start a second one where it would not pay', async () => {
    await start();
    world.runMs = 10;
    world.submit(pool);
    await pass(1000);
    await pass(70_000);

    world.submit(pool);
    await pass(100);
    world.submit(pool, 7);
    await pass(100);

    expect(world.instancesOf(pool)).toHaveLength(1);
    await pass(1000);
    expect(world.done).toBe(9);
  });

  test('a burst goes to the limit, and the limit holds', async () => {
    await start(4, { max: 3 });

    world.submit(pool, 10);
    await pass(0);
    expect(world.instancesOf(pool)).toHaveLength(3);

    await pass(10_000);
    expect(world.done).toBe(10);
    expect(Math.max(...world.applied.map(({ replicas }) => replicas))).toBe(3);
  });

  test('instances of a pool that is not told of any more are let go, and come back with its next job', async () => {
    await start();
    world.activeMs = 10_000;
    world.submit(pool);
    await pass(30_000);
    expect(world.instancesOf(pool)).toHaveLength(1);
    await pass(40_000);
    expect(world.instancesOf(pool)).toHaveLength(0);

    world.submit(pool);
    await pass(0);

    expect(world.instancesOf(pool)).toHaveLength(1);
  });
});

describe('sharing', () => {
  test('idle instances of one pool make room for the first job of another', async () => {
    await start(2);
    world.submit(other, 2);
    await pass(5000);
    expect(world.instancesOf(other)).toHaveLength(2);

    world.submit(pool);
    await pass(0);

    expect(world.instancesOf(other)).toHaveLength(1);
    expect(world.instancesOf(pool)).toHaveLength(1);
  });

  test('where there is one place, pools take turns', async () => {
    await start(1);
    world.submit(other);
    world.submit(pool);

    await pass(600);
    expect(lastReport()).toMatchObject({ desired: 0, reason: expect.stringMatching(/places are shared/) });

    await pass(5000);
    expect(world.done).toBe(2);
  });
});

describe('a setup that fails', () => {
  test('is tried three times; then the waiting jobs are refused with its log', async () => {
    await start();
    world.broken = true;
    world.submit(pool);
    await pass(0);
    expect(world.refusals).toEqual([]);

    await pass(4 * world.setupMs);

    expect(world.applied.filter(({ replicas }) => replicas === 1)).toHaveLength(3);
    expect(world.refusals).toHaveLength(1);
    expect(world.refusals[0]).toMatchObject({
      pool: pool.id,
      jobs: 1,
      failure: { code: 'setup_failed' },
      logs: 'Traceback: No module named torch\n',
    });
    expect(world.refusals[0]?.failure.message).toMatch(
      /^No module named torch\. \(3 failed starts in a row; the next is not tried before 20/,
    );
    expect(lastReport()?.breaker?.message).toBe('No module named torch.');
  });

  test('refuses new jobs at once while the breaker is open, then tries one, and serves when it is mended', async () => {
    await start();
    world.broken = true;
    world.submit(pool);
    await pass(4 * world.setupMs);

    world.submit(pool, 2);
    await pass(100);
    expect(world.refusals.map(({ jobs }) => jobs)).toEqual([1, 2]);
    expect(world.instancesOf(pool)).toHaveLength(0);

    world.broken = false;
    await pass(firstCooldownMs);
    world.submit(pool, 3);
    await pass(0);
    expect(world.instancesOf(pool)).toHaveLength(1);
    await pass(10_000);
    expect(world.done).toBe(3);
    expect(world.refusals).toHaveLength(2);
    expect(lastReport()?.breaker).toBeNull();
  });

  test('refuses the same jobs once, however long that takes and whatever else happens meanwhile', async () => {
    await start();
    world.submit(other);
    await pass(2000);
    world.broken = true;
    world.refuseMs = 1000;
    world.submit(pool);
    await pass(3 * world.setupMs + 200);
    expect(world.refusals).toHaveLength(1);

    for (let job = 0; job < 20; job++) {
      world.submit(other);
      await pass(100);
    }

    expect(world.refusals).toHaveLength(1);
  });

  test('refuses nothing while an instance serves', async () => {
    await start();
    world.runMs = 20_000;
    world.submit(pool);
    await pass(2000);
    world.broken = true;

    world.submit(pool, 5);
    await pass(5000);

    expect(lastReport()?.breaker).not.toBeNull();
    expect(world.refusals).toEqual([]);
  });

  test('of a pool that keeps a minimum is tried again by itself', async () => {
    await start(4, { min: 1 });
    world.broken = true;
    world.submit(pool);
    await pass(4 * world.setupMs);
    expect(world.instancesOf(pool)).toHaveLength(0);

    world.broken = false;
    await pass(firstCooldownMs + world.setupMs);

    expect(world.instancesOf(pool)).toMatchObject([{ phase: 'ready' }]);
  });
});

describe('trouble', () => {
  test('while demand is not known the fleet is left as it is, and then caught up with', async () => {
    await start(4, { idleSeconds: 60 });
    world.submit(pool);
    await pass(2000);
    world.demandError = new Error('the api is away');

    await pass(120_000);
    expect(world.instancesOf(pool)).toHaveLength(1);
    expect(world.demanded).toBeLessThan(40);

    world.demandError = undefined;
    await pass(11_000);
    expect(world.instancesOf(pool)).toHaveLength(0);
  });

  test('a fleet that cannot be looked at is left as it is, and looked at again', async () => {
    await start();
    world.observeError = new Error('no answer');
    world.submit(pool);
    await pass(100);
    expect(world.applied).toEqual([]);

    world.observeError = undefined;
    await pass(500);
    expect(world.instancesOf(pool)).toHaveLength(1);
  });

  test('an instance that could not be started is tried again', async () => {
    await start();
    world.applyError = new Error('fork failed');
    world.submit(pool);
    await pass(100);
    expect(world.instancesOf(pool)).toHaveLength(0);
    expect(world.reports.at(-1)?.state.reason).toContain('They cannot be started: fork failed');

    world.applyError = undefined;
    await pass(500);
    expect(world.instancesOf(pool)).toHaveLength(1);
    expect(world.reports.at(-1)?.state.reason).not.toContain('fork failed');
  });

  test('nothing is decided after close', async () => {
    await start();
    await director.close();

    world.submit(pool);
    await pass(20_000);

    expect(world.applied).toEqual([]);
  });
});

describe('cost', () => {
  test('a thousand jobs a second cost at most 25 looks and one report a second', async () => {
    await start();
    world.runMs = 1;
    world.submit(pool);
    await pass(5000);
    const before = { observed: world.observed, demanded: world.demanded, reports: world.reports.length };

    for (let job = 0; job < 5000; job++) {
      world.submit(pool);
      await pass(1);
    }

    expect(world.done).toBeGreaterThan(4900);
    expect(world.observed - before.observed).toBeLessThanOrEqual(5 * 25);
    expect(world.demanded - before.demanded).toBeLessThanOrEqual(5 * 21);
    expect(world.reports.length - before.reports).toBeLessThanOrEqual(5);
    expect(world.instancesOf(pool)).toHaveLength(1);
  });

  test("a pool's first job does not wait for another pool's bustle", async () => {
    await start();
    world.runMs = 1;
    world.submit(pool);
    await pass(5000);
    for (let job = 0; job < 500; job++) {
      world.submit(pool);
      await pass(1);
    }

    world.submit(other);
    await pass(50);

    expect(world.instancesOf(other)).toHaveLength(1);
  });

  test('a full fleet is not told the same over and over', async () => {
    await start(1);
    world.runMs = 60_000;
    world.submit(other);
    await pass(1000);
    world.submit(pool);
    await pass(100);
    const applied = world.applied.length;

    for (let turn = 0; turn < 100; turn++) {
      world.tell();
      await pass(100);
    }

    expect(world.applied.length - applied).toBeLessThanOrEqual(20);
    expect(world.applied.length).toBeGreaterThan(applied);
  });

  test('news of the fleet a moment before does not hold up a first job', async () => {
    await start();
    world.tell();
    await pass(1);

    world.submit(pool);
    await pass(0);

    expect(world.instancesOf(pool)).toHaveLength(1);
  });

  test('where nothing happens nothing is reported', async () => {
    await start(4, { min: 1 });
    world.submit(pool);
    await pass(10_000);
    const reports = world.reports.length;

    await pass(600_000);

    expect(world.reports).toHaveLength(reports);
  });
});
