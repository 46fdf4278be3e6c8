import { describe, expect, test } from 'vitest';
import { mostNeeded, needReviewAt, noteNeed, unknownNeed } from '../../services/core/recent-need.ts';
import { defaultPolicy, desiredReplicas } from '../../services/core/scaling.ts';
import { emptyMemory } from '../../services/core/scaling-memory.ts';
import { anInstance } from './instances.ts';

const windowMs = 60_000;

/** What is known after `needs`, each from its moment on. */
function noted(...needs: readonly (readonly [at: number, instances: number])[]) {
  return needs.reduce((recent, [at, instances]) => noteNeed(recent, instances, at, windowMs), unknownNeed);
}

describe('what a pool needed of late', () => {
  test('is not known before it was watched for the whole window', () => {
    const recent = noted([1000, 3]);

    expect(mostNeeded(recent, 60_999, windowMs)).toBeNull();
    expect(mostNeeded(recent, 61_000, windowMs)).toBe(3);
  });

  test('is the most of the window, for as long as that was needed and the window after', () => {
    const recent = noted([0, 5], [50_000, 2], [109_999, 1]);
    expect(mostNeeded(recent, 109_999, windowMs)).toBe(5);

    const later = noteNeed(recent, 1, 110_001, windowMs);
    expect(mostNeeded(later, 110_001, windowMs)).toBe(2);
    expect(needReviewAt(later, 110_001, windowMs)).toBe(169_999);
  });

  test('remembers no more than it needs: what is less than what came after is left out', () => {
    expect(noted([0, 1], [10, 2], [20, 3]).needs).toHaveLength(1);
    expect(noted([0, 3], [10, 2], [20, 1]).needs).toHaveLength(3);
  });
});

describe('instances that take turns', () => {
  const now = 1_000_000;
  /** Three that worked a moment ago, one after the other. */
  const instances = [1000, 2000, 3000].map((ago) => ({ ...anInstance(), idleSince: now - ago }));
  const sample = {
    now,
    queued: 0,
    running: 0,
    runSeconds: [1],
    instances,
    concurrency: 1,
    remainingBudgetMicroUsd: null,
  };
  const seen = { ...emptyMemory, counted: instances.map(({ id }) => id) };

  test('are stopped down to what was needed at once, though none is idle for long', () => {
    const recentNeed = { since: now - 60_000, needs: [{ instances: 1, lastAt: now - 1000 }] };
    const decision = desiredReplicas(sample, defaultPolicy, { ...seen, recentNeed });

    expect(decision).toMatchObject({ replicas: 1, action: 'stop' });
    expect(decision.reason).toBe('1 instance would have done for 60 s: stop 2');
  });

  test('are kept while that is not known for the whole idle time', () => {
    expect(desiredReplicas(sample, defaultPolicy, seen)).toMatchObject({ replicas: 3, action: 'hold' });
  });

  test('keep one where runs were too short to be seen', () => {
    const recentNeed = { since: 0, needs: [{ instances: 0, lastAt: now - 90_000 }] };

    expect(desiredReplicas(sample, defaultPolicy, { ...seen, recentNeed }).replicas).toBe(1);
  });
});
