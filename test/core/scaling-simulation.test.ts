import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Instance } from '../../services/core/pool.ts';
import { defaultPolicy, desiredReplicas } from '../../services/core/scaling.ts';
import { emptyMemory } from '../../services/core/scaling-memory.ts';
import { anInstance } from './instances.ts';

const tickMs = 100;

interface Load {
  readonly runMs: number;
  readonly setupMs: number;
  /** Time between two jobs; the first comes at once. */
  readonly everyMs: number;
  readonly forMs: number;
  readonly max: number;
}

/** A pool in steps of 100 ms, scaled by the real function. */
function simulate({ runMs, setupMs, everyMs, forMs, max }: Load, untilMs: number) {
  const policy = { ...defaultPolicy, max };
  const counts: number[] = [];
  const waits: number[] = [];
  const runSeconds: number[] = [];
  let memory = emptyMemory;
  let queue: number[] = [];
  let instances: (Instance & { until: number })[] = [];
  let nextJob = 0;
  for (let now = 0; now <= untilMs; now += tickMs) {
    for (; nextJob <= now && nextJob < forMs; nextJob += everyMs) queue = [...queue, nextJob];
    instances = instances.map((one) => {
      if (one.phase === 'setup' && now >= one.until) {
        return { ...one, phase: 'ready' as const, readyAt: now, idleSince: now };
      }
      if (one.running > 0 && now >= one.until) {
        runSeconds.push(runMs / 1000);
        return { ...one, running: 0, idleSince: now };
      }
      return one;
    });
    instances = instances.map((one) => {
      const job = queue[0];
      if (one.phase !== 'ready' || one.running > 0 || job === undefined) return one;
      queue = queue.slice(1);
      waits.push(now - job);
      return { ...one, running: 1, idleSince: null, until: now + runMs };
    });
    const running = instances.filter((one) => one.running > 0).length;
    const decision = desiredReplicas(
      {
        now,
        queued: queue.length,
        running,
        runSeconds: runSeconds.slice(-20),
        instances,
        concurrency: 1,
        remainingBudgetMicroUsd: null,
      },
      policy,
      memory,
    );
    memory = decision.memory;
    const replicas = decision.replicas ?? instances.length;
    for (let count = instances.length; count < replicas; count++) {
      instances.push({ ...anInstance({ phase: 'setup' }, now), until: now + setupMs });
    }
    const idle = instances
      .filter((one) => one.phase === 'ready' && one.running === 0)
      .sort((a, b) => (a.idleSince ?? 0) - (b.idleSince ?? 0))
      .slice(0, Math.max(0, instances.length - replicas));
    instances = instances.filter((one) => !idle.includes(one));
    counts.push(instances.length);
  }
  const changes = counts.filter((count, at) => at > 0 && count !== counts[at - 1]).length;
  return { counts, changes, waits, left: queue.length };
}

const load = fc.record({
  runMs: fc.integer({ min: 100, max: 20_000 }),
  setupMs: fc.integer({ min: 100, max: 60_000 }),
  everyMs: fc.integer({ min: 200, max: 20_000 }),
  forMs: fc.constant(300_000),
  max: fc.integer({ min: 1, max: 6 }),
});

test('under a constant load the number of instances settles instead of flapping', () => {
  fc.assert(
    fc.property(load, (one) => {
      const { counts, changes } = simulate(one, 300_000);
      // It may rise step by step to the limit and fall back once to what the load needs.
      expect(changes).toBeLessThanOrEqual(2 * one.max);
      expect(Math.max(...counts)).toBeLessThanOrEqual(one.max);
    }),
    { numRuns: 40 },
  );
});

test('when the load ends, every job has begun and the pool goes to zero', () => {
  fc.assert(
    fc.property(load, (drawn) => {
      const one = { ...drawn, forMs: 30_000 };
      const jobs = Math.ceil(one.forMs / one.everyMs);
      const idleMs = defaultPolicy.idleSeconds * 1000;
      const { counts, left, waits } = simulate(
        one,
        one.forMs + one.setupMs + jobs * one.runMs + idleMs + 10 * tickMs * jobs,
      );
      expect(left).toBe(0);
      expect(waits).toHaveLength(jobs);
      expect(counts.at(-1)).toBe(0);
    }),
    { numRuns: 10 },
  );
});

test('a burst of long jobs with short boots is served side by side', () => {
  const { counts, waits } = simulate({ runMs: 5000, setupMs: 500, everyMs: 1, forMs: 10, max: 10 }, 20_000);

  expect(counts[1]).toBe(10);
  expect(Math.max(...waits)).toBeLessThanOrEqual(600);
});
