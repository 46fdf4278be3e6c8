import { z } from 'zod';
import { assertNever, type FailureCode, failureCodes, failureKinds } from './errors.ts';
import { billedMs, costMicroUsd } from './pricing.ts';
import { jobTraceSchema } from './trace.ts';
import { webhookEvents } from './webhook.ts';

export const jobStatuses = ['starting', 'processing', 'succeeded', 'failed', 'canceled'] as const;
export type JobStatus = (typeof jobStatuses)[number];

/** Leases that may be lost to the platform's faults before the job fails as `instance_lost`. */
export const maxAttempts = 3;
/** Times that a model server may die under a job before the job fails as `model_crashed`. */
export const maxCrashes = 2;

export const failureSchema = z.object({ code: z.enum(failureCodes), message: z.string().min(1) });
export type JobFailure = z.infer<typeof failureSchema>;

/**
 * A job as it is stored: small, and written three times in a plain life. Payloads live beside it.
 * All times are epoch milliseconds.
 */
export const jobSchema = z.object({
  id: z.string(),
  kind: z.enum(['prediction', 'training']),
  account: z.string(),
  /** Id (not the secret) of the token that created the job. */
  token: z.string(),
  /** `owner/name` */
  model: z.string(),
  version: z.string(),
  /** `owner/name` of the deployment, null for a model's shared use. */
  deployment: z.string().nullable(),
  pool: z.string(),
  hardware: z.string(),
  /** The price when the job was created; later changes of price do not touch it. */
  microUsdPerSecond: z.int(),
  source: z.enum(['api', 'web']),
  /** Whether the version's output is an iterator, which readers may follow as it comes. */
  streams: z.boolean(),
  status: z.enum(jobStatuses),
  createdAt: z.number(),
  startedAt: z.number().nullable(),
  completedAt: z.number().nullable(),
  /** When the job is canceled unless it has ended (`Cancel-After`). */
  deadlineAt: z.number().nullable(),
  /** Fencing token: rises with each lease; a writer with an older one is refused. */
  attempt: z.int().nonnegative(),
  lease: z.object({ instance: z.string(), expiresAt: z.number() }).nullable(),
  /** Leases lost to the platform. */
  losses: z.int().nonnegative(),
  /** Attempts under which the model server died. */
  crashes: z.int().nonnegative(),
  failure: failureSchema.nullable(),
  /** Null until the job has ended. */
  billedMs: z.int().nullable(),
  costMicroUsd: z.int().nullable(),
  /** What Cog reported, null where it reported nothing. */
  predictMs: z.number().nullable(),
  dataRemoved: z.boolean(),
  /**
   * When its input and result go by themselves; null until its end settles it. Absent where they are removed by a write:
   * then `dataRemoved` tells. Readers ask `isDataGone`.
   */
  dataExpiresAt: z.number().nullable().optional(),
  /** Who wrote the result that is its own; absent where it has none, and in rows of earlier releases. */
  resultBy: z.string().optional(),
  /** Whether it is one of its model's examples, whose data is kept; absent where it never was. */
  example: z.boolean().optional(),
  /** Digest of the request, where it came with an idempotency key. */
  requestDigest: z.string().optional(),
  /** Its span, where it is traced. */
  trace: jobTraceSchema.optional(),
  /** Events that its webhook is told of; null without one. Not there in rows of earlier releases. */
  webhookEvents: z.array(z.enum(webhookEvents)).readonly().nullable(),
});
export type Job = z.infer<typeof jobSchema>;

/** What is settled when a job is made. */
export type JobSpec = Pick<
  Job,
  | 'id'
  | 'kind'
  | 'account'
  | 'token'
  | 'model'
  | 'version'
  | 'deployment'
  | 'pool'
  | 'hardware'
  | 'microUsdPerSecond'
  | 'source'
  | 'streams'
  | 'createdAt'
  | 'deadlineAt'
  | 'requestDigest'
  | 'trace'
> &
  Partial<Pick<Job, 'webhookEvents'>>;

/** A job that waits for its first lease. */
export function startJob(spec: JobSpec): Job {
  return {
    ...spec,
    status: 'starting',
    startedAt: null,
    completedAt: null,
    attempt: 0,
    lease: null,
    losses: 0,
    crashes: 0,
    failure: null,
    billedMs: null,
    costMicroUsd: null,
    predictMs: null,
    dataRemoved: false,
    webhookEvents: spec.webhookEvents ?? null,
  };
}

/** How an attempt ended, as its runner saw it. */
export type Outcome =
  | { readonly status: 'succeeded'; readonly predictMs: number | null }
  | { readonly status: 'failed'; readonly failure: JobFailure; readonly predictMs: number | null };

/** Everything that can happen to a job after it was created. `at` is the api's own clock, epoch ms. */
export type JobEvent =
  | { readonly type: 'leased'; readonly at: number; readonly instance: string; readonly leaseMs: number }
  | {
      readonly type: 'ended';
      readonly at: number;
      readonly attempt: number;
      readonly outcome: Outcome;
      readonly outputShown: boolean;
      /** From the lease to the model server's acceptance: waiting for a slot is not billed. */
      readonly acceptedAfterMs: number;
    }
  | {
      readonly type: 'given_back' | 'lease_lost';
      readonly at: number;
      readonly attempt: number;
      readonly outputShown: boolean;
      /** Whether nothing is lost where the lease has been renewed beyond `at`. @default false */
      readonly unlessRenewed?: boolean;
    }
  | { readonly type: 'cancel'; readonly at: number; readonly reason: 'canceled' | 'deadline_exceeded' }
  | { readonly type: 'unservable'; readonly at: number; readonly failure: JobFailure };

/** What an event does to a job. `refused` changes nothing and tells the sender why. */
export type Transition =
  | { readonly kind: 'write'; readonly job: Job }
  | { readonly kind: 'refused'; readonly reason: 'ended' | 'stale_attempt' | 'not_waiting' | 'renewed' };

export function hasEnded(status: JobStatus): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'canceled';
}

/** Whether what a job took in and put out is not to be shown any more. @param now epoch ms */
export function isDataGone({ dataRemoved, dataExpiresAt }: Job, now: number): boolean {
  return dataRemoved || (typeof dataExpiresAt === 'number' && dataExpiresAt <= now);
}

/**
 * The life of a job: `starting → processing → succeeded | failed | canceled`, with a way back to `starting` when a
 * lease is lost or given back. Pure: the caller writes the result on condition that status and attempt still are
 * those of `job`, so of two racing events one wins and the other is decided again.
 */
export function transition(job: Job, event: JobEvent): Transition {
  if (hasEnded(job.status)) return { kind: 'refused', reason: 'ended' };
  switch (event.type) {
    case 'leased':
      return lease(job, event);
    case 'ended':
      if (isStale(job, event.attempt)) return { kind: 'refused', reason: 'stale_attempt' };
      return write(endAttempt(job, event));
    case 'given_back':
    case 'lease_lost':
      if (isStale(job, event.attempt)) return { kind: 'refused', reason: 'stale_attempt' };
      return write(loseAttempt(job, event));
    case 'cancel':
      return write(cancel(job, event));
    case 'unservable':
      if (job.status !== 'starting') return { kind: 'refused', reason: 'not_waiting' };
      return write(
        end(job, event.at, { status: 'failed', failure: event.failure, billedMs: 0, predictMs: null }),
      );
    default:
      return assertNever(event);
  }
}

function lease(job: Job, event: Extract<JobEvent, { type: 'leased' }>): Transition {
  if (job.status !== 'starting') return { kind: 'refused', reason: 'not_waiting' };
  return write({
    ...job,
    status: 'processing',
    startedAt: event.at,
    attempt: job.attempt + 1,
    lease: { instance: event.instance, expiresAt: event.at + event.leaseMs },
  });
}

function endAttempt(job: Job, event: Extract<JobEvent, { type: 'ended' }>): Job {
  const { outcome, at } = event;
  const billed = billedMs({
    reportedMs: outcome.predictMs,
    observedMs: observedMs(job, at) - Math.max(0, event.acceptedAfterMs),
  });
  if (outcome.status === 'succeeded') {
    return end(job, at, {
      status: 'succeeded',
      failure: null,
      billedMs: billed,
      predictMs: outcome.predictMs,
    });
  }
  const again = retried(job, outcome.failure.code, event.outputShown);
  if (again) return again;
  const { fault } = failureKinds[outcome.failure.code];
  const free = fault === 'platform' || fault === 'capacity';
  return end(job, at, {
    status: 'failed',
    failure: outcome.failure,
    billedMs: free ? 0 : billed,
    predictMs: outcome.predictMs,
  });
}

/** The job put back for another attempt, or undefined where this failure is final. */
function retried(job: Job, code: FailureCode, outputShown: boolean): Job | undefined {
  if (outputShown) return undefined;
  if (code === 'model_crashed' && job.crashes + 1 < maxCrashes) {
    return { ...putBack(job), crashes: job.crashes + 1 };
  }
  if (failureKinds[code].fault === 'platform' && job.losses + 1 < maxAttempts) {
    return { ...putBack(job), losses: job.losses + 1 };
  }
  return undefined;
}

function loseAttempt(job: Job, event: Extract<JobEvent, { type: 'given_back' | 'lease_lost' }>): Job {
  // Nobody can un-read tokens, so what was shown is never produced a second time.
  const losses = event.type === 'lease_lost' ? job.losses + 1 : job.losses;
  if (!event.outputShown && losses < maxAttempts) return { ...putBack(job), losses };
  const message = event.outputShown
    ? 'The instance went away after part of the output had been shown, so the prediction was not run again.'
    : `The instance that ran this prediction was lost ${maxAttempts} times.`;
  const failure: JobFailure = { code: 'instance_lost', message };
  return end({ ...job, losses }, event.at, { status: 'failed', failure, billedMs: 0, predictMs: null });
}

function cancel(job: Job, event: Extract<JobEvent, { type: 'cancel' }>): Job {
  const began = job.status === 'processing';
  const failure: JobFailure = began
    ? { code: event.reason, message: cancelMessages[event.reason] }
    : { code: 'aborted', message: `${cancelMessages[event.reason]} It had not begun to run.` };
  const billed = began ? billedMs({ reportedMs: null, observedMs: observedMs(job, event.at) }) : 0;
  return end(job, event.at, { status: 'canceled', failure, billedMs: billed, predictMs: null });
}

const cancelMessages = {
  canceled: 'The prediction was canceled.',
  deadline_exceeded: 'The prediction was canceled because its Cancel-After time had passed.',
};

function putBack(job: Job): Job {
  return { ...job, status: 'starting', startedAt: null, lease: null };
}

function end(
  job: Job,
  at: number,
  result: Pick<Job, 'failure' | 'predictMs'> & {
    status: 'succeeded' | 'failed' | 'canceled';
    billedMs: number;
  },
): Job {
  return {
    ...job,
    ...result,
    // The clock may have been set back.
    completedAt: Math.max(at, job.startedAt ?? job.createdAt),
    lease: null,
    costMicroUsd: costMicroUsd(result.billedMs, job.microUsdPerSecond),
  };
}

function observedMs(job: Job, at: number): number {
  return job.startedAt === null ? 0 : at - job.startedAt;
}

function isStale(job: Job, attempt: number): boolean {
  return job.status !== 'processing' || job.attempt !== attempt;
}

function write(job: Job): Transition {
  return { kind: 'write', job };
}
