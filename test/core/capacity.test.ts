import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Claim, shareCapacity } from '../../services/core/capacity.ts';

function share(capacity: number, claims: Record<string, Partial<Claim>>): Record<string, number> {
  const all = Object.entries(claims).map(([pool, claim]) => ({
    pool,
    wanted: 0,
    live: 0,
    working: 0,
    oldestQueuedAt: null,
    ...claim,
  }));
  return Object.fromEntries(shareCapacity(all, capacity));
}

test('each pool gets what it wants where there is room', () => {
  const shares = share(10, { a: { wanted: 4, oldestQueuedAt: 1 }, b: { wanted: 3, live: 3 } });

  expect(shares).toEqual({ a: 4, b: 3 });
});

test('idle instances make room for a pool whose jobs wait', () => {
  const shares = share(4, { idle: { wanted: 4, live: 4 }, waits: { wanted: 2, oldestQueuedAt: 1 } });

  expect(shares).toEqual({ idle: 2, waits: 2 });
});

test("a pool's last warm instance does not make room for another pool's second", () => {
  const shares = share(2, { idle: { wanted: 1, live: 1 }, waits: { wanted: 2, live: 1, oldestQueuedAt: 1 } });

  expect(shares).toEqual({ idle: 1, waits: 1 });
});

test("a pool's last warm instance makes room for another pool's first", () => {
  const shares = share(1, { idle: { wanted: 1, live: 1 }, waits: { wanted: 2, oldestQueuedAt: 1 } });

  expect(shares).toEqual({ idle: 0, waits: 1 });
});

test('a long queue does not starve a short one', () => {
  const shares = share(4, {
    long: { wanted: 100, live: 4, working: 4, oldestQueuedAt: 1 },
    short: { wanted: 1, oldestQueuedAt: 2 },
  });

  expect(shares).toEqual({ long: 3, short: 1 });
});

test('where places are fewer than pools, the longest waiting come first', () => {
  const shares = share(2, {
    late: { wanted: 1, oldestQueuedAt: 30 },
    first: { wanted: 9, oldestQueuedAt: 10 },
    second: { wanted: 1, oldestQueuedAt: 20 },
  });

  expect(shares).toEqual({ late: 0, first: 1, second: 1 });
});

test('no more is given out than there is, none gets more than it wants, and nothing is held back', () => {
  const claim = fc.record({
    wanted: fc.nat({ max: 20 }),
    live: fc.nat({ max: 5 }),
    working: fc.nat({ max: 5 }),
    oldestQueuedAt: fc.option(fc.nat({ max: 100 })),
  });
  fc.assert(
    fc.property(fc.array(claim, { maxLength: 8 }), fc.nat({ max: 30 }), (drawn, capacity) => {
      const claims = drawn.map((one, at) => ({ ...one, pool: `pool-${at}` }));
      const shares = shareCapacity(claims, capacity);
      const given = [...shares.values()].reduce((sum, count) => sum + count, 0);
      const wanted = claims.reduce((sum, one) => sum + one.wanted, 0);
      expect(given).toBe(Math.min(capacity, wanted));
      for (const one of claims) expect(shares.get(one.pool)).toBeLessThanOrEqual(one.wanted);
      const starved = claims.some(
        (one) => one.oldestQueuedAt !== null && one.wanted > 0 && shares.get(one.pool) === 0,
      );
      const idleHolder = claims.some((one) => one.oldestQueuedAt === null && shares.get(one.pool) !== 0);
      expect(starved && idleHolder).toBe(false);
    }),
  );
});
