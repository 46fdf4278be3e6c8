import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { defaultPolicy } from '../../services/core/scaling.ts';
import type { PoolScaling } from '../../services/core/scaling-settings.ts';
import { type Director, startDirector } from '../../services/director/app.ts';
import { createPolicies } from '../../services/director/policy.ts';
import { aPool, World } from './world.ts';

const pool = aPool('model');
let world: World;
let director: Director;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-11-20T06:00:00Z') });
  world = new World();
  direct();
});

afterEach(async () => {
  await director.close();
  await world.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function direct(): void {
  const policy = createPolicies({ ...defaultPolicy, max: 4, idleSeconds: 60 });
  director = startDirector({ protocol: world, fleet: world, policy });
}

function want(scaling: PoolScaling): void {
  world.tellOf({ ...pool, scaling });
}

async function passTo(time: string): Promise<void> {
  await vi.advanceTimersByTimeAsync(Date.parse(time) - Date.now());
}

test('a scheduled minimum is there at its hour, to the moment, and let go after it', async () => {
  want({
    schedule: [{ start: '0 8 * * 1-5', end: '0 9 * * 1-5', timezone: 'Europe/Berlin', min: 2 }],
  });

  await passTo('2026-11-20T06:59:59.900Z');
  expect(world.instancesOf(pool)).toHaveLength(0);
  await passTo('2026-11-20T07:00:00.100Z');
  expect(world.instancesOf(pool)).toHaveLength(2);
  const reasons = world.reports.map(({ state }) => state.reason);
  expect(reasons).toContain('at least 2 are kept: start 2');
  await passTo('2026-11-20T07:59:59.900Z');
  expect(world.instancesOf(pool)).toHaveLength(2);
  await passTo('2026-11-20T08:00:00.100Z');
  expect(world.instancesOf(pool)).toHaveLength(0);
});

test('what was warmed is kept past its idle time, and goes when the hold is over', async () => {
  want({ warm: [{ instances: 1, until: Date.parse('2026-11-20T06:10:00Z') }] });

  await passTo('2026-11-20T06:00:01Z');
  expect(world.instancesOf(pool)).toMatchObject([{ phase: 'ready', running: 0 }]);
  await passTo('2026-11-20T06:09:59Z');
  expect(world.instancesOf(pool)).toHaveLength(1);
  await passTo('2026-11-20T06:10:00.100Z');
  expect(world.instancesOf(pool)).toHaveLength(0);
});

test('a minimum is never more than the director’s own limit', async () => {
  want({ min: 1000 });

  await passTo('2026-11-20T06:01:00Z');
  expect(world.instancesOf(pool)).toHaveLength(4);
});

test('a pool that is not told of any more keeps no minimum', async () => {
  want({ min: 1 });
  await passTo('2026-11-20T06:05:00Z');
  expect(world.instancesOf(pool)).toHaveLength(1);

  world.forget(pool);
  await passTo('2026-11-20T06:05:01Z');

  expect(world.instancesOf(pool)).toHaveLength(0);
});

test('what is kept is not the fleet’s concern', async () => {
  const apply = vi.spyOn(world, 'apply');
  want({ min: 1 });
  await passTo('2026-11-20T06:00:01Z');

  expect(apply.mock.calls).toEqual([[pool, 1]]);
});

test('what starts took outlives a director', async () => {
  await director.close();
  world.history = { setupSeconds: [100, 120], boots: [{ node: 60, image: 30, weights: 0, setup: 10 }] };
  direct();
  want({ min: 1 });

  await passTo('2026-11-20T06:00:05Z');

  const state = world.reports.at(-1)?.state;
  expect(state?.setupSeconds).toEqual([100, 120, 0.5]);
  expect(state?.boots).toEqual([
    { node: 60, image: 30, weights: 0, setup: 10 },
    { node: 0, image: 0, weights: 0, setup: 0.5 },
  ]);
});
