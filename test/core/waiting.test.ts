import { describe, expect, test } from 'vitest';
import type { Instance, PoolState } from '../../services/core/pool.ts';
import { explainWaiting, secondsToReady } from '../../services/core/waiting.ts';
import { anInstance, booting, busy, failed } from './instances.ts';

const now = 100_000;

function explain(
  instances: Instance[],
  over: {
    setupSeconds?: number[];
    runSeconds?: number[];
    position?: number;
    breaker?: PoolState['breaker'];
  } = {},
) {
  const { setupSeconds = [10, 10, 20], runSeconds = [2], position = 1, breaker = null } = over;
  const state = { pool: 'p', at: now, desired: 1, reason: '', instances, breaker, setupSeconds };
  return explainWaiting({ state, concurrency: 1, position, runSeconds, now });
}

describe('phase', () => {
  test('a pool that nobody has looked at yet is a queue without an estimate', () => {
    expect(explainWaiting({ state: undefined, concurrency: 1, position: 3, runSeconds: [1], now })).toEqual({
      phase: 'queued',
      position: 3,
      eta_seconds: null,
    });
  });

  test('is that of the instance which is furthest', () => {
    const node = anInstance({ phase: 'node' }, now);
    const weights = anInstance({ phase: 'weights' }, now);

    expect(explain([node]).phase).toBe('node');
    expect(explain([node, weights]).phase).toBe('weights');
    expect(explain([node, weights, booting(now)]).phase).toBe('setup');
    expect(explain([failed(now)]).phase).toBe('queued');
  });

  test('is queued where an instance is ready', () => {
    expect(explain([booting(now), busy(0)]).phase).toBe('queued');
  });
});

describe('reason', () => {
  const noMachine = 'No machine of this kind is up yet.';
  const pulls = "The model's image is being pulled.";

  test('is what the furthest instance says', () => {
    const node = anInstance({ phase: 'node', detail: noMachine }, now);
    const image = anInstance({ phase: 'image', detail: pulls }, now);

    expect(explain([node]).reason).toBe(noMachine);
    expect(explain([node, image]).reason).toBe(pulls);
    expect(explain([node, anInstance({ phase: 'image' }, now), image]).reason).toBe(pulls);
  });

  test('is absent where that one says nothing, or where nothing has to start', () => {
    const node = anInstance({ phase: 'node', detail: noMachine }, now);

    expect(explain([node, booting(now)])).not.toHaveProperty('reason');
    expect(explain([node, busy(0)])).not.toHaveProperty('reason');
    expect(explain([])).not.toHaveProperty('reason');
  });
});

describe('estimate', () => {
  test('is what is left of the setup', () => {
    expect(explain([booting(now - 4000)]).eta_seconds).toEqual({ p50: 6, p90: 14 });
  });

  test('is never negative', () => {
    expect(explain([booting(now - 60_000)]).eta_seconds).toEqual({ p50: 0, p90: 0 });
  });

  test('adds the jobs before it, shared between the instances', () => {
    expect(explain([booting(now)], { position: 3, setupSeconds: [10] }).eta_seconds).toEqual({
      p50: 14,
      p90: 14,
    });
    expect(explain([booting(now), booting(now)], { position: 4, setupSeconds: [10] }).eta_seconds?.p50).toBe(
      12,
    );
  });

  test('waits for the run before it where all instances work', () => {
    expect(explain([busy(0)]).eta_seconds?.p50).toBe(2);
    expect(explain([busy(0), busy(0)]).eta_seconds?.p50).toBe(1);
    expect(explain([busy(0), anInstance()]).eta_seconds?.p50).toBe(0);
  });

  test('is missing where there is nothing to reckon by', () => {
    expect(explain([booting(now)], { setupSeconds: [] }).eta_seconds).toBeNull();
    expect(explain([busy(0)], { runSeconds: [] }).eta_seconds).toBeNull();
    expect(explain([booting(now)], { runSeconds: [] }).eta_seconds).not.toBeNull();
  });

  test('is missing while the breaker is open', () => {
    const breaker = { until: now + 1000, message: 'No module named torch.', setupLogs: '' };

    expect(explain([], { breaker }).eta_seconds).toBeNull();
  });
});

describe('estimate by phases', () => {
  // Warm nodes have no wait for a node; new ones have.
  const boots = [
    { node: 0, image: 0, weights: 0, setup: 10 },
    { node: 60, image: 40, weights: 0, setup: 10 },
    { node: 90, image: 40, weights: 0, setup: 20 },
  ];
  const setupSeconds = [10, 110, 150];

  function left(phase: 'node' | 'image' | 'setup', seconds: number, startedSecondsAgo = seconds) {
    const instance = anInstance({ phase, id: 'one' }, now - startedSecondsAgo * 1000);
    const state = { pool: 'p', at: now, desired: 1, reason: '', instances: [instance], breaker: null };
    const phaseSince = { one: now - seconds * 1000 };
    const whole = { ...state, setupSeconds, boots, phaseSince };
    return explainWaiting({ state: whole, concurrency: 1, position: 1, runSeconds: [], now }).eta_seconds;
  }

  test('is that of the phases to come and of what is left of the present one', () => {
    // 50 s in `node`: 0 + 10, 10 + 40 + 10 and 40 + 40 + 20 are left.
    expect(left('node', 50)).toEqual({ p50: 60, p90: 92 });
    // 30 s in `image`: 0 + 10, 10 + 10 and 10 + 20.
    expect(left('image', 30)?.p50).toBe(20);
    // 4 s in `setup`: 6, 6 and 16.
    expect(left('setup', 4)).toEqual({ p50: 6, p90: 14 });
  });

  test('is not shortened by a phase before that took longer than ever', () => {
    expect(left('image', 30, 1000)).toEqual(left('image', 30, 30));
  });

  test('is never negative', () => {
    expect(left('setup', 5000)).toEqual({ p50: 0, p90: 0 });
  });

  test('is a whole start where none is on its way', () => {
    expect(explain([], { setupSeconds }).eta_seconds?.p50).toBe(110);
  });

  test('is by what other versions took where a pool has nothing of its own', () => {
    const place = { concurrency: 1, position: 1, runSeconds: [], now };

    expect(explainWaiting({ ...place, state: undefined, priorSetupSeconds: [30] }).eta_seconds?.p50).toBe(30);
    expect(explainWaiting({ ...place, state: undefined, priorSetupSeconds: [] }).eta_seconds).toBeNull();
  });
});

describe('seconds until so many are ready', () => {
  const pool = (instances: Instance[], breaker: PoolState['breaker'] = null) => ({
    state: { pool: 'p', at: now, desired: 1, reason: '', instances, breaker, setupSeconds: [10, 10, 20] },
    now,
  });

  test('are none where they are', () => {
    expect(secondsToReady(pool([anInstance(), busy(0)]), 2)).toEqual({ p50: 0, p90: 0 });
  });

  test('are those of a whole start where one more is to be started', () => {
    expect(secondsToReady(pool([]), 1)).toEqual({ p50: 10, p90: 18 });
    expect(secondsToReady(pool([anInstance(), booting(now - 4000)]), 3)).toEqual({ p50: 10, p90: 18 });
  });

  test('are what is left where they are on their way', () => {
    expect(secondsToReady(pool([anInstance(), booting(now - 4000)]), 2)).toEqual({ p50: 6, p90: 14 });
    expect(secondsToReady(pool([booting(now - 4000), booting(now)]), 2)).toEqual({ p50: 10, p90: 18 });
  });

  test('are not told while setups fail', () => {
    const breaker = { until: now + 1000, message: 'No module named torch.', setupLogs: '' };

    expect(secondsToReady(pool([], breaker), 1)).toBeNull();
  });
});
