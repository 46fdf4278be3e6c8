import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { closedBreaker, failuresToOpen, firstCooldownMs } from '../../services/core/breaker.ts';
import type { Instance } from '../../services/core/pool.ts';
import { unknownNeed } from '../../services/core/recent-need.ts';
import {
  type Decision,
  defaultPolicy,
  desiredReplicas,
  type Sample,
  type ScalingPolicy,
} from '../../services/core/scaling.ts';
import { emptyMemory, isStarting, type ScalingMemory } from '../../services/core/scaling-memory.ts';
import { anInstance, booting, busy, failed } from './instances.ts';

const now = 1_000_000;

function decide(
  sample: Partial<Sample>,
  policy: Partial<ScalingPolicy> = {},
  memory: Partial<ScalingMemory> = {},
): Decision {
  return desiredReplicas(
    {
      now,
      queued: 0,
      running: 0,
      runSeconds: [],
      instances: [],
      concurrency: 1,
      remainingBudgetMicroUsd: null,
      ...sample,
    },
    { ...defaultPolicy, ...policy },
    { ...emptyMemory, counted: seenBefore(sample.instances ?? []), ...memory },
  );
}

/** Those whose setup, of no time at all in these tests, is not to be taken for a measured one. */
function seenBefore(instances: readonly Instance[]): string[] {
  return instances.filter(({ phase }) => phase === 'ready').map(({ id }) => id);
}

describe('up', () => {
  test('the first job starts an instance at once, with the reason in words', () => {
    const decision = decide({ queued: 1 });

    expect(decision).toMatchObject({ replicas: 1, action: 'start' });
    expect(decision.reason).toBe('1 job waits and nothing runs: start 1');
  });

  test('ten jobs of 5 s with boots of 0.5 s go to the limit at once', () => {
    const decision = decide({ queued: 10, runSeconds: [5] }, { max: 8 }, { setupSeconds: [0.5] });

    expect(decision.replicas).toBe(8);
    expect(decision.reason).toBe('10 jobs wait and nothing runs (the limit is 8): start 8');
  });

  test('eight jobs of 1 ms start one instance, not eight', () => {
    const known = { queued: 8, runSeconds: [0.001] };

    expect(decide(known, { max: 8 }, { setupSeconds: [0.45] }).replicas).toBe(1);
    expect(decide({ ...known, instances: [busy()] }, { max: 8 }, { setupSeconds: [0.45] }).replicas).toBe(1);
  });

  test('while run or setup time is unknown, each job is worth a slot', () => {
    expect(decide({ queued: 3 }).replicas).toBe(3);
    expect(decide({ queued: 3, runSeconds: [0.001] }).replicas).toBe(3);
    expect(decide({ queued: 3 }, {}, { setupSeconds: [0.5] }).replicas).toBe(3);
    expect(decide({ queued: 3, concurrency: 2 }).replicas).toBe(2);
  });

  test('starting instances count: the same queue asks for nothing more', () => {
    const sample = { queued: 3, instances: [booting(now), booting(now), booting(now)] };

    expect(decide(sample)).toMatchObject({ replicas: 3, action: 'hold' });
  });

  test('an instance that would boot longer than the queue lasts is not started', () => {
    const slow = { setupSeconds: [60] };

    expect(decide({ queued: 5, running: 1, runSeconds: [10], instances: [busy()] }, {}, slow).replicas).toBe(
      1,
    );
    expect(
      decide({ queued: 100, running: 1, runSeconds: [10], instances: [busy()] }, {}, slow).replicas,
    ).toBe(4);
  });

  test('with long boots, instances are started for as much work as their boot takes', () => {
    const decision = decide({ queued: 100, runSeconds: [10] }, { max: 100 }, { setupSeconds: [60] });

    expect(decision.replicas).toBe(17);
  });

  test('a shorter time to drain asks for more instances', () => {
    const decision = decide(
      { queued: 100, runSeconds: [10] },
      { max: 100, drainSeconds: 20 },
      { setupSeconds: [60] },
    );

    expect(decision.replicas).toBe(50);
  });

  test('an instance that has booted for a while is taken to be ready soon', () => {
    const sample = { queued: 15, runSeconds: [1], instances: [booting(now - 9900)] };

    expect(decide(sample, {}, { setupSeconds: [10] }).replicas).toBe(1);
    expect(decide({ ...sample, instances: [booting(now)] }, {}, { setupSeconds: [10] }).replicas).toBe(2);
  });

  test('no wish for a short drain starts an instance for less than one run', () => {
    const sample = { queued: 1, running: 2, runSeconds: [5], instances: [busy(), busy()] };

    expect(decide(sample, { drainSeconds: 1 }, { setupSeconds: [4] }).replicas).toBe(2);
  });

  test('a job behind a long run gets an instance of its own when boots are short', () => {
    const sample = { queued: 1, running: 1, runSeconds: [5], instances: [busy()] };

    expect(decide(sample, {}, { setupSeconds: [0.5] }).replicas).toBe(2);
  });

  test('the minimum is kept without any job', () => {
    const decision = decide({}, { min: 2 });

    expect(decision).toMatchObject({ replicas: 2, reason: 'at least 2 are kept: start 2' });
  });

  test('the buffer is kept beside those that work, while there is work', () => {
    expect(decide({ running: 1, instances: [busy()] }, { buffer: 2 }).replicas).toBe(3);
    expect(decide({ instances: [] }, { buffer: 2 }).replicas).toBe(0);
  });
});

describe('down', () => {
  const idleFor = (seconds: number): Instance => anInstance({}, now - seconds * 1000);

  test('an instance that was idle for 60 s is stopped, and the next look is planned', () => {
    const decision = decide({ instances: [idleFor(60), idleFor(20), busy()] });

    expect(decision).toMatchObject({ replicas: 2, action: 'stop', reviewAt: now + 40_000 });
    expect(decision.reason).toBe('1 instance had nothing to do for 60 s: stop 1');
  });

  test('the idle time can be chosen', () => {
    expect(decide({ instances: [idleFor(6)] }, { idleSeconds: 5 }).replicas).toBe(0);
    expect(decide({ instances: [idleFor(6)] }, { idleSeconds: 7 }).replicas).toBe(1);
  });

  test('the minimum stays however long it is idle', () => {
    const decision = decide({ instances: [idleFor(600), idleFor(600)] }, { min: 1 });

    expect(decision.replicas).toBe(1);
  });

  test('without budget nothing is started, idle ones go and those that work stay', () => {
    const sample = { queued: 5, remainingBudgetMicroUsd: 0, instances: [idleFor(1), busy(), booting()] };

    expect(decide(sample, { min: 3 })).toMatchObject({ replicas: 2, action: 'stop' });
    expect(decide({ queued: 5, remainingBudgetMicroUsd: 0 })).toMatchObject({
      replicas: 0,
      action: 'blocked',
    });
  });
});

describe('a setup that fails', () => {
  test('is tried three times, then not before the cool-down has passed, then once', () => {
    let memory = emptyMemory;
    const look = (at: number, instances: Instance[]): Decision => {
      const decision = decide({ now: at, queued: 2, instances }, {}, memory);
      memory = decision.memory;
      return decision;
    };

    expect(look(now, []).replicas).toBe(2);
    expect(look(now, [failed(), failed()]).replicas).toBe(1);
    const opened = look(now, [failed()]);
    expect(opened).toMatchObject({ replicas: 0, action: 'blocked', reviewAt: now + firstCooldownMs });
    expect(opened.reason).toMatch(/^3 setups failed in a row: nothing is started before 1970-01-01T00:17:10/);
    expect(opened.memory.breaker.last?.setupLogs).toContain('torch');
    expect(look(now + firstCooldownMs - 1, []).replicas).toBe(0);

    const tried = look(now + firstCooldownMs, []);
    expect(tried).toMatchObject({ replicas: 1, action: 'start' });
    expect(look(now + firstCooldownMs + 1, [booting(now)]).replicas).toBe(1);
    const again = look(now + firstCooldownMs, [failed()]);
    expect(again).toMatchObject({ replicas: 0, reviewAt: now + 3 * firstCooldownMs });
  });

  test('leaves no more tries than would open the breaker, those under way counted', () => {
    expect(decide({ queued: 5, instances: [failed(), booting()] })).toMatchObject({ replicas: 2 });
    expect(decide({ queued: 5, instances: [failed(), booting(), booting()] })).toMatchObject({
      replicas: 2,
      action: 'blocked',
    });
  });

  test('is counted once however often it is seen', () => {
    const broken = failed();
    const once = decide({ instances: [broken] });
    const twice = decide({ instances: [broken] }, {}, once.memory);

    expect(twice.memory.breaker.failures).toBe(1);
  });

  test('is forgotten when another succeeds', () => {
    const failing = decide({ instances: [failed(), failed()] });
    const mended = decide({ instances: [anInstance()] }, {}, failing.memory);

    expect(mended.memory.breaker).toEqual(closedBreaker);
  });

  test('is noticed though the instance was never seen to have failed', () => {
    const boots = decide({ queued: 1, instances: [booting()] });
    const gone = decide({ queued: 1, instances: [] }, {}, boots.memory);

    expect(gone.memory.breaker).toMatchObject({ failures: 1, last: { code: 'platform_error' } });
  });

  test('does not count where a ready instance dies later', () => {
    const died = { ...failed(), readyAt: 10 };

    expect(decide({ instances: [died] }).memory.breaker).toEqual(closedBreaker);
  });

  test('stops no instance that serves', () => {
    const open = { failures: failuresToOpen, openings: 1, until: now + 1000, last: null };
    const instances = [busy(), anInstance({}, now)];
    const counted = instances.map(({ id }) => id);
    const decision = decide({ queued: 5, instances }, {}, { breaker: open, counted });

    expect(decision.replicas).toBe(2);
  });
});

describe('always', () => {
  const instance = fc
    .record({
      phase: fc.constantFrom<Instance['phase']>(
        'node',
        'image',
        'weights',
        'setup',
        'ready',
        'draining',
        'failed',
      ),
      age: fc.integer({ min: 0, max: 200_000 }),
      running: fc.integer({ min: 0, max: 2 }),
    })
    .map(({ phase, age, running }) =>
      anInstance({ phase, running: phase === 'ready' ? running : 0 }, now - age),
    );
  const seconds = fc.array(fc.double({ min: 0.001, max: 100, noNaN: true }), { maxLength: 4 });
  const sample: fc.Arbitrary<Sample> = fc.record({
    now: fc.constant(now),
    queued: fc.nat({ max: 50 }),
    running: fc.nat({ max: 10 }),
    runSeconds: seconds,
    instances: fc.array(instance, { maxLength: 8 }),
    concurrency: fc.integer({ min: 1, max: 4 }),
    remainingBudgetMicroUsd: fc.constantFrom(null, null, null, 0, 10),
  });
  const policy: fc.Arbitrary<ScalingPolicy> = fc.record({
    min: fc.nat({ max: 3 }),
    max: fc.nat({ max: 10 }),
    buffer: fc.nat({ max: 3 }),
    idleSeconds: fc.constantFrom(5, 60),
    drainSeconds: fc.constantFrom(null, 1, 30),
  });
  const memory: fc.Arbitrary<ScalingMemory> = fc.record({
    breaker: fc.constantFrom(
      closedBreaker,
      { failures: 2, openings: 0, until: null, last: null },
      { failures: 3, openings: 1, until: now + 1, last: null },
      { failures: 3, openings: 1, until: now, last: null },
    ),
    setupSeconds: seconds,
    boots: fc.constant([]),
    booting: fc.constant([]),
    counted: fc.constant([]),
    recentNeed: fc.oneof(
      fc.constant(unknownNeed),
      fc.record({ instances: fc.nat(8), age: fc.nat(200_000) }).map(({ instances, age }) => ({
        since: now - age,
        needs: [{ instances, lastAt: now - Math.floor(age / 2) }],
      })),
    ),
  });
  const live = ({ instances }: Sample): number =>
    instances.filter((one) => one.phase === 'ready' || isStarting(one)).length;

  test('never more than the maximum', () => {
    fc.assert(
      fc.property(sample, policy, memory, (s, p, m) => {
        expect(desiredReplicas(s, p, m).replicas).toBeLessThanOrEqual(p.max);
      }),
    );
  });

  test('never fewer than the minimum, but for breaker and budget', () => {
    fc.assert(
      fc.property(sample, policy, memory, (s, p, m) => {
        const { replicas, memory: after } = desiredReplicas(s, p, m);
        fc.pre(after.breaker.failures === 0 && s.remainingBudgetMicroUsd !== 0);
        expect(replicas).toBeGreaterThanOrEqual(Math.min(p.min, p.max));
      }),
    );
  });

  test('an instance that works or boots is never among those to stop', () => {
    fc.assert(
      fc.property(sample, policy, memory, (s, p, m) => {
        const kept = s.instances.filter((one) => isStarting(one) || one.running > 0).length;
        expect(desiredReplicas(s, p, m).replicas).toBeGreaterThanOrEqual(Math.min(kept, p.max));
      }),
    );
  });

  test('a longer queue never asks for fewer', () => {
    fc.assert(
      fc.property(sample, policy, memory, fc.nat({ max: 20 }), (s, p, m, more) => {
        const longer = desiredReplicas({ ...s, queued: s.queued + more }, p, m).replicas;
        expect(longer).toBeGreaterThanOrEqual(desiredReplicas(s, p, m).replicas ?? 0);
      }),
    );
  });

  test('a queue is never left without any instance, but for breaker, budget and maximum', () => {
    fc.assert(
      fc.property(sample, policy, memory, (s, p, m) => {
        const { replicas, memory: after } = desiredReplicas(s, p, m);
        fc.pre(s.queued > 0 && p.max > 0 && after.breaker.failures === 0 && s.remainingBudgetMicroUsd !== 0);
        expect(replicas).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  test('an open breaker or a used-up budget starts nothing', () => {
    fc.assert(
      fc.property(sample, policy, memory, (s, p, m) => {
        const { replicas, memory: after } = desiredReplicas(s, p, m);
        const open = after.breaker.until !== null && after.breaker.until > s.now;
        fc.pre(open || s.remainingBudgetMicroUsd === 0);
        expect(replicas).toBeLessThanOrEqual(live(s));
      }),
    );
  });

  test('a failed sample changes nothing', () => {
    fc.assert(
      fc.property(policy, memory, (p, m) => {
        expect(desiredReplicas(null, p, m)).toMatchObject({ replicas: null, reviewAt: null, memory: m });
      }),
    );
  });

  test('the next look lies ahead', () => {
    fc.assert(
      fc.property(sample, policy, memory, (s, p, m) => {
        expect(desiredReplicas(s, p, m).reviewAt ?? Number.POSITIVE_INFINITY).toBeGreaterThan(s.now);
      }),
    );
  });
});
