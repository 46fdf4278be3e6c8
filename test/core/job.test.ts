import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FailureCode, failureCodes, failureKinds } from '../../services/core/errors.ts';
import {
  hasEnded,
  type Job,
  type JobEvent,
  jobSchema,
  maxAttempts,
  maxCrashes,
  type Transition,
  transition,
} from '../../services/core/job.ts';
import { costMicroUsd } from '../../services/core/pricing.ts';
import { aJob } from '../support/jobs.ts';

const created: Job = aJob({ hardware: 'gpu-a40-large', microUsdPerSecond: 725, createdAt: 0 });

function written(result: Transition): Job {
  if (result.kind !== 'write') throw new Error(`refused: ${result.reason}`);
  return result.job;
}

function leased(job: Job, at = 1000): Job {
  return written(transition(job, { type: 'leased', at, instance: 'i', leaseMs: 60_000 }));
}

function succeeded(job: Job, at: number, predictMs: number | null, acceptedAfterMs = 0): Job {
  const outcome = { status: 'succeeded', predictMs } as const;
  return written(
    transition(job, {
      type: 'ended',
      at,
      attempt: job.attempt,
      outcome,
      outputShown: false,
      acceptedAfterMs,
    }),
  );
}

function failed(job: Job, code: FailureCode, outputShown = false): Job {
  const outcome = { status: 'failed', failure: { code, message: 'It broke.' }, predictMs: 500 } as const;
  return written(
    transition(job, {
      type: 'ended',
      at: 2000,
      attempt: job.attempt,
      outcome,
      outputShown,
      acceptedAfterMs: 0,
    }),
  );
}

describe('a plain life', () => {
  test('is billed what the model server reports, when our clock saw more', () => {
    const job = succeeded(leased(created, 1000), 9100, 8000);

    expect(job).toMatchObject({ status: 'succeeded', billedMs: 8000, costMicroUsd: 5800, completedAt: 9100 });
  });

  test('is billed what our clock saw since the acceptance, when the model server reports more', () => {
    expect(succeeded(leased(created, 1000), 5000, 60_000, 1000).billedMs).toBe(3000);
  });

  test('is billed by our clock where nothing is reported', () => {
    expect(succeeded(leased(created, 1000), 4000, null).billedMs).toBe(3000);
  });

  test('is never billed less than nothing', () => {
    expect(succeeded(leased(created, 1000), 4000, null, 9000).billedMs).toBe(0);
    expect(succeeded(leased(created, 1000), 500, 10).billedMs).toBe(0);
  });

  test('never ends before it began, should the clock be set back', () => {
    expect(succeeded(leased(created, 1000), 500, 200)).toMatchObject({ completedAt: 1000, billedMs: 0 });
  });
});

describe('cancel', () => {
  test('of a queued job costs nothing and says that it never ran', () => {
    const job = written(transition(created, { type: 'cancel', at: 5000, reason: 'canceled' }));

    expect(job).toMatchObject({
      status: 'canceled',
      billedMs: 0,
      costMicroUsd: 0,
      failure: { code: 'aborted' },
    });
  });

  test('of a running job stops the meter, whatever its runner says later', () => {
    const running = leased(created, 1000);
    const canceled = written(transition(running, { type: 'cancel', at: 4000, reason: 'deadline_exceeded' }));
    const late = transition(canceled, {
      type: 'ended',
      at: 60_000,
      attempt: 1,
      outcome: { status: 'succeeded', predictMs: 59_000 },
      outputShown: true,
      acceptedAfterMs: 0,
    });

    expect(canceled).toMatchObject({ costMicroUsd: 2175, failure: { code: 'deadline_exceeded' } });
    expect(late).toEqual({ kind: 'refused', reason: 'ended' });
  });
});

describe('a failure', () => {
  test('of the model or its input is final, and what ran is billed', () => {
    expect(failed(leased(created), 'model_error')).toMatchObject({ status: 'failed', billedMs: 500 });
  });

  test('of the platform is tried again, three times in all, and never billed', () => {
    let job = created;
    for (let attempt = 1; attempt < maxAttempts; attempt++) {
      job = failed(leased(job), 'platform_error');
      expect(job).toMatchObject({ status: 'starting', attempt, lease: null, startedAt: null });
    }
    job = failed(leased(job), 'platform_error');

    expect(job).toMatchObject({ status: 'failed', attempt: maxAttempts, costMicroUsd: 0 });
  });

  test('of the model server is tried once more', () => {
    const again = failed(leased(created), 'model_crashed');

    expect(again).toMatchObject({ status: 'starting', crashes: 1 });
    expect(failed(leased(again), 'model_crashed')).toMatchObject({ status: 'failed', billedMs: 500 });
  });

  test('after output was shown is final', () => {
    expect(failed(leased(created), 'platform_error', true)).toMatchObject({ status: 'failed', billedMs: 0 });
  });
});

describe('a lost lease', () => {
  const lose = (job: Job, outputShown = false): Job =>
    written(transition(job, { type: 'lease_lost', at: 9000, attempt: job.attempt, outputShown }));

  test('puts the job back, and fails it unbilled the third time', () => {
    const twice = lose(leased(lose(leased(created))));
    expect(twice).toMatchObject({ status: 'starting', losses: 2 });

    expect(lose(leased(twice))).toMatchObject({
      status: 'failed',
      costMicroUsd: 0,
      failure: { code: 'instance_lost' },
    });
  });

  test('ends a job whose output was shown', () => {
    expect(lose(leased(created), true)).toMatchObject({ status: 'failed', billedMs: 0 });
  });

  test('shuts out its runner, whose result comes too late', () => {
    const again = leased(lose(leased(created)));
    const late = transition(again, {
      type: 'ended',
      at: 9500,
      attempt: 1,
      outcome: { status: 'succeeded', predictMs: 1 },
      outputShown: false,
      acceptedAfterMs: 0,
    });

    expect(late).toEqual({ kind: 'refused', reason: 'stale_attempt' });
  });
});

describe('whatever happens, in whatever order', () => {
  const since = fc.nat({ max: 20_000 });
  /** 0: the attempt that holds the lease; more: one before it; less: one that never was. */
  const staleness = fc.constantFrom(0, 0, 0, 1, 2, -1);
  const outcome = fc.oneof(
    fc.record({
      status: fc.constant('succeeded' as const),
      predictMs: fc.option(fc.double({ min: 0, max: 30_000, noNaN: true })),
    }),
    fc.record({
      status: fc.constant('failed' as const),
      predictMs: fc.option(fc.double({ min: 0, max: 30_000, noNaN: true })),
      failure: fc.record({ code: fc.constantFrom(...failureCodes), message: fc.constant('It broke.') }),
    }),
  );
  const step: fc.Arbitrary<{ since: number; make: (at: number, attempt: number) => JobEvent }> = fc.oneof(
    {
      weight: 3,
      arbitrary: since.map((ms) => ({
        since: ms,
        make: (at: number): JobEvent => ({ type: 'leased', at, instance: 'i', leaseMs: 60_000 }),
      })),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(since, staleness, outcome, fc.boolean(), fc.integer({ min: -100, max: 5000 }))
        .map(([ms, stale, result, outputShown, acceptedAfterMs]) => ({
          since: ms,
          make: (at: number, attempt: number): JobEvent => ({
            type: 'ended',
            at,
            attempt: attempt - stale,
            outcome: result,
            outputShown,
            acceptedAfterMs,
          }),
        })),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(since, staleness, fc.constantFrom('given_back' as const, 'lease_lost' as const), fc.boolean())
        .map(([ms, stale, type, outputShown]) => ({
          since: ms,
          make: (at: number, attempt: number): JobEvent => ({
            type,
            at,
            attempt: attempt - stale,
            outputShown,
          }),
        })),
    },
    fc
      .tuple(since, fc.constantFrom('canceled' as const, 'deadline_exceeded' as const))
      .map(([ms, reason]) => ({
        since: ms,
        make: (at: number): JobEvent => ({ type: 'cancel', at, reason }),
      })),
    since.map((ms) => ({
      since: ms,
      make: (at: number): JobEvent => ({
        type: 'unservable',
        at,
        failure: { code: 'setup_failed', message: 'No module named torch.' },
      }),
    })),
  );

  interface Moment {
    readonly before: Job;
    readonly event: JobEvent;
    readonly result: Transition;
  }

  /** Plays events one after the other; each may come twice, as it does where an answer was lost. */
  function play(
    steps: readonly { since: number; make: (at: number, attempt: number) => JobEvent }[],
    twice: boolean,
  ) {
    const moments: Moment[] = [];
    let job = created;
    let at = 0;
    for (const { since: ms, make } of steps) {
      at += ms;
      const event = make(at, job.attempt);
      for (let time = 0; time < (twice ? 2 : 1); time++) {
        const result = transition(job, event);
        moments.push({ before: job, event, result });
        if (result.kind === 'write') job = result.job;
      }
    }
    return { job, moments };
  }

  function holds(check: (moment: Moment) => void): void {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), fc.boolean(), (steps, twice) => {
        for (const moment of play(steps, twice).moments) check(moment);
      }),
      { numRuns: 500 },
    );
  }

  test('cost is set once, with the end, and an ended job never changes again', () => {
    holds(({ before, result }) => {
      if (hasEnded(before.status)) expect(result).toEqual({ kind: 'refused', reason: 'ended' });
      if (result.kind !== 'write') return;
      const ended = hasEnded(result.job.status);
      expect(result.job.costMicroUsd !== null).toBe(ended);
      expect(result.job.billedMs !== null).toBe(ended);
      expect(result.job.completedAt !== null).toBe(ended);
    });
  });

  test('an attempt that does not hold the lease changes nothing', () => {
    holds(({ before, event, result }) => {
      if (hasEnded(before.status) || !('attempt' in event)) return;
      if (before.status === 'processing' && event.attempt === before.attempt) {
        expect(result.kind).toBe('write');
      } else expect(result).toEqual({ kind: 'refused', reason: 'stale_attempt' });
    });
  });

  test('the attempt rises by one with each lease and at no other time', () => {
    holds(({ before, event, result }) => {
      if (result.kind !== 'write') return;
      expect(result.job.attempt).toBe(before.attempt + (event.type === 'leased' ? 1 : 0));
    });
  });

  test('what is billed is no more than was reported or observed, and the cost is its price', () => {
    holds(({ before, event, result }) => {
      if (result.kind !== 'write' || result.job.billedMs === null) return;
      const { billedMs, costMicroUsd: cost } = result.job;
      expect(cost).toBe(costMicroUsd(billedMs, created.microUsdPerSecond));
      expect(billedMs).toBeGreaterThanOrEqual(0);
      expect(billedMs).toBeLessThanOrEqual(before.startedAt === null ? 0 : event.at - before.startedAt);
      if (event.type === 'ended' && event.outcome.predictMs !== null) {
        expect(billedMs).toBeLessThanOrEqual(Math.round(event.outcome.predictMs));
      }
    });
  });

  test('a fault of the platform, a lost lease and a job that never ran cost nothing', () => {
    holds(({ before, result }) => {
      if (result.kind !== 'write' || !hasEnded(result.job.status)) return;
      const code = result.job.failure?.code;
      const fault = code && code !== 'aborted' ? failureKinds[code].fault : undefined;
      if (fault === 'platform' || fault === 'capacity' || before.status === 'starting') {
        expect(result.job.costMicroUsd).toBe(0);
      }
      if (result.job.status === 'canceled' && before.status === 'starting') expect(code).toBe('aborted');
    });
  });

  test('a job is put back at most three times for the platform and twice for its model server', () => {
    holds(({ result }) => {
      if (result.kind !== 'write') return;
      const open = !hasEnded(result.job.status);
      expect(result.job.losses).toBeLessThanOrEqual(open ? maxAttempts - 1 : maxAttempts);
      expect(result.job.crashes).toBeLessThanOrEqual(maxCrashes - 1);
    });
  });

  test('a job whose output was shown is never run again', () => {
    holds(({ event, result }) => {
      if (result.kind !== 'write' || !('outputShown' in event) || !event.outputShown) return;
      expect(hasEnded(result.job.status)).toBe(true);
    });
  });

  test('a job that failed or was canceled says why, and one that succeeded says nothing', () => {
    holds(({ result }) => {
      if (result.kind !== 'write') return;
      const { status, failure } = result.job;
      expect(failure !== null).toBe(status === 'failed' || status === 'canceled');
    });
  });

  test('a lease is held exactly while the job is processing', () => {
    holds(({ result }) => {
      if (result.kind !== 'write') return;
      expect(result.job.lease !== null).toBe(result.job.status === 'processing');
    });
  });

  test('the job stays one that can be stored', () => {
    holds(({ result }) => {
      if (result.kind === 'write') expect(jobSchema.parse(result.job)).toEqual(result.job);
    });
  });

  test('of events that race, at most one ends the job', () => {
    holds(({ before, result }) => {
      // Each of the racing writes names the state that it leaves, so the later one is decided again on the new state.
      if (result.kind !== 'write' || !hasEnded(result.job.status)) return;
      for (const type of ['given_back', 'lease_lost'] as const) {
        const late = { type, at: 1e6, attempt: before.attempt, outputShown: false };
        expect(transition(result.job, late).kind).toBe('refused');
      }
      expect(transition(result.job, { type: 'cancel', at: 1e6, reason: 'canceled' }).kind).toBe('refused');
    });
  });
});
