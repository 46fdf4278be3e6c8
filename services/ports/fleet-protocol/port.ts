import { z } from 'zod';
import { failureSchema } from '../../core/job.ts';
import { maxOutputFiles, outputFileSchema } from '../../core/output-files.ts';
import { instanceSchema, poolSchema, poolStateSchema } from '../../core/pool.ts';

/** Rises when a peer of the release before could not understand a message any more. */
export const protocolVersion = 1;
/** Header that carries `protocolVersion` over HTTP. */
export const protocolHeader = 'mimeo-fleet-protocol';

/** Header by which a runner in a cluster says which pool it is of; the name of its pod, in its token, proves it. */
export const poolHeader = 'mimeo-pool';

/** A lease that is not renewed for this long is lost. */
export const leaseSeconds = 60;
/** How often a runner renews its leases. */
export const heartbeatSeconds = 15;
/** Most seconds that one long poll may be held. */
export const maxPollSeconds = 20;
/** Most characters of logs that are kept for a job; the middle is cut. */
export const maxLogCharacters = 1024 * 1024;

const jsonSchema = z.json();
export const jobRefSchema = z.object({ id: z.string(), attempt: z.int().positive() });
/** A job under one lease. */
export type JobRef = z.infer<typeof jobRefSchema>;

export const leaseRequestSchema = z.object({
  instance: z.string().min(1).max(200),
  waitSeconds: z.number().min(0).max(maxPollSeconds),
});
export type LeaseRequest = z.infer<typeof leaseRequestSchema>;

export const assignmentSchema = jobRefSchema.extend({
  kind: z.enum(['prediction', 'training']),
  version: z.string(),
  input: z.record(z.string(), jsonSchema),
  traceparent: z.string().nullable(),
});
/** A job to run, held under a lease until it ends, is given back or the lease expires. */
export type Assignment = z.infer<typeof assignmentSchema>;

/** Files of an output, where the runner has stored them; absent where it has none. */
const filesSchema = z.array(outputFileSchema).max(maxOutputFiles).optional();

export const placeFileRequestSchema = jobRefSchema.extend({ contentType: z.string().max(255) });
export type PlaceFileRequest = z.infer<typeof placeFileRequestSchema>;

export const filePlaceSchema = z.object({ name: z.string(), url: z.string() });
/** Where one file of an output goes: its name among the job's, and a URL that takes it by PUT for a while. */
export type FilePlace = z.infer<typeof filePlaceSchema>;

export const outcomeSchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('succeeded'),
    output: jsonSchema,
    files: filesSchema,
    /** What Cog reported, milliseconds. */
    predictMs: z.number().nonnegative().nullable(),
    /** Metrics that the model recorded itself. */
    metrics: z.record(z.string(), jsonSchema),
  }),
  z.object({
    status: z.literal('failed'),
    failure: failureSchema,
    /** What had been put out before it failed; null where nothing had. */
    output: jsonSchema,
    files: filesSchema,
    predictMs: z.number().nonnegative().nullable(),
    metrics: z.record(z.string(), jsonSchema),
  }),
]);
export type ReportedOutcome = z.infer<typeof outcomeSchema>;

export const runnerEventSchema = z.discriminatedUnion('type', [
  /** One more element of an iterator's output; `index` counts from 0 in each attempt. */
  z.object({
    type: z.literal('output'),
    index: z.int().nonnegative(),
    chunk: jsonSchema,
    /** By their paths in the chunk. */
    files: filesSchema,
  }),
  /** What the model printed since the last event of this type. */
  z.object({
    type: z.literal('logs'),
    text: z.string(),
    /** How many elements came before it, and which event of logs since then it is, from 1. Old runners say neither. */
    place: z.object({ chunk: z.int().nonnegative(), log: z.int().positive() }).optional(),
  }),
  /**
   * The end. `logs` are whole. `acceptedAfterMs`: from the lease to the model server's acceptance.
   * For a job that was canceled meanwhile this keeps its output and logs, and changes nothing else.
   */
  z.object({
    type: z.literal('ended'),
    outcome: outcomeSchema,
    logs: z.string(),
    acceptedAfterMs: z.number().nonnegative(),
  }),
]);
export type RunnerEvent = z.infer<typeof runnerEventSchema>;

export const reportSchema = jobRefSchema.extend({ events: z.array(runnerEventSchema).min(1) });
export type Report = z.infer<typeof reportSchema>;

export const heartbeatRequestSchema = z.object({
  instance: z.string().min(1).max(200),
  jobs: z.array(jobRefSchema).max(1000),
});
export type HeartbeatRequest = z.infer<typeof heartbeatRequestSchema>;

export const stopListSchema = z.object({
  stop: z.array(jobRefSchema),
  /** Set where the whole instance is to end: it leases nothing more, ends what it can in time and gives back the rest. */
  drain: z.object({ graceSeconds: z.number().nonnegative() }).optional(),
});
/** Jobs that the runner must stop: canceled, or no longer its own. */
export type StopList = z.infer<typeof stopListSchema>;

const maxReportedWords = 10_000;
export const instanceReportSchema = instanceSchema
  .pick({ readyAt: true, running: true, idleSince: true, failure: true, setupLogs: true })
  .extend({
    instance: z.string().min(1).max(200),
    /** `drained`: it has ended by an order to do so, and the control plane knows of all of its jobs. */
    phase: z.enum(['setup', 'ready', 'draining', 'drained', 'failed']),
    /** Why it has to be replaced though it was ready; null while it need not be. */
    broken: z.string().max(maxReportedWords).nullable(),
  });
/**
 * What a runner says of its instance: when its phase changes, when it was idle for `idleReportSeconds` and when it works
 * again after that, every `setupReportSeconds` while setup prints, and every `repeatReportSeconds`. A fleet whose runners
 * are on other machines goes by it.
 */
export type InstanceReport = z.infer<typeof instanceReportSchema>;
/** Shorter times without work are not told: each report is a write. */
export const idleReportSeconds = 5;
/** How often it is told what setup has printed. */
export const setupReportSeconds = 15;
/** Characters of setup logs that a report keeps, from their end. */
export const reportLogCharacters = 16_000;
/** How often a report is repeated though nothing changed. */
export const repeatReportSeconds = 600;
/** For how long a report is kept. */
export const reportKeptSeconds = 3600;

/** A report, by whose pool it is and when the control plane got it (epoch ms). */
export const receivedReportSchema = instanceReportSchema.extend({ pool: z.string(), receivedAt: z.number() });
export type ReceivedReport = z.infer<typeof receivedReportSchema>;

export const drainRequestSchema = z.object({
  pool: z.string().min(1),
  instance: z.string().min(1).max(200),
  graceSeconds: z.number().nonnegative(),
});
/** Tells an instance to end. It may be lost: repeat it until the instance says that it drains. */
export type DrainRequest = z.infer<typeof drainRequestSchema>;

export const demandRequestSchema = z.object({
  waitSeconds: z.number().min(0).max(maxPollSeconds),
  /** Epoch ms: reports of instances that were received since then are wanted. Absent: none is. */
  reportsAfter: z.number().nonnegative().optional(),
  /** Of this run of the director: whoever says it is told of each pool's history once, and anew where it waits for nothing. */
  director: z.string().min(1).max(100).optional(),
});
export type DemandRequest = z.infer<typeof demandRequestSchema>;

export const demandSchema = z.object({
  pools: z.array(
    z.object({
      pool: poolSchema,
      queued: z.int().nonnegative(),
      running: z.int().nonnegative(),
      /** Epoch ms; null where nothing is queued. */
      oldestQueuedAt: z.number().nullable(),
      /** Seconds that recent jobs ran, newest last. */
      runSeconds: z.array(z.number()),
      /** What the pool's starts took, as a director said last; told to each director when it first hears of the pool. */
      history: poolStateSchema.pick({ setupSeconds: true, boots: true }).optional(),
    }),
  ),
  /** Reports of instances where they were asked for, each instance's newest; some may come twice. */
  reports: z.array(receivedReportSchema).optional(),
});
/** Every pool that has unfinished jobs, or had some in the last minutes. */
export type Demand = z.infer<typeof demandSchema>;
export type PoolDemand = Demand['pools'][number];

export const refuseRequestSchema = z.object({ pool: z.string(), failure: failureSchema, logs: z.string() });
/** Ends every waiting job of a pool that cannot serve. */
export type RefuseRequest = z.infer<typeof refuseRequestSchema>;

export const runnerTokenRequestSchema = z.object({ pool: z.string().min(1) });
/** What a runner of one pool proves itself by, for a while. A director gets it for those that it starts. */
export const runnerTokenSchema = z.object({
  token: z.string(),
  /** How long it is good for, from when it was asked for. */
  lifeSeconds: z.number().positive(),
});
export type RunnerToken = z.infer<typeof runnerTokenSchema>;

/** What a runner says to the control plane. Each call is scoped to the runner's own pool. */
export interface RunnerProtocol {
  /** The next job of the runner's pool, or null after `waitSeconds` or when `signal` aborts. */
  lease(request: LeaseRequest, signal?: AbortSignal): Promise<Assignment | null>;
  /** Renews the leases of running jobs. */
  heartbeat(request: HeartbeatRequest): Promise<StopList>;
  /** Long poll for jobs of this instance that must stop; empty after `waitSeconds`. */
  watch(request: LeaseRequest, signal?: AbortSignal): Promise<StopList>;
  /**
   * Progress and end of one job, in order.
   * @throws ProblemError `stale_attempt` where the lease has moved on: stop the job, its result is not wanted
   */
  report(report: Report): Promise<void>;
  /**
   * A place for one file of a job's output, which is named in a later report.
   * @throws ProblemError `stale_attempt` as `report` does; `not_found` from a release that places no files
   */
  placeFile(request: PlaceFileRequest): Promise<FilePlace>;
  /** Puts a job back that this runner cannot finish. A job that is not its own any more is left alone. */
  giveBack(job: JobRef): Promise<void>;
  /**
   * What this runner's instance is like. Changes nothing for its jobs.
   * @throws ProblemError `not_found` from a release that takes none
   */
  reportInstance(report: InstanceReport): Promise<void>;
}

/** What a director says to the control plane. */
export interface DirectorProtocol {
  /** Demand now if something changed since the last call, else at the next change or after `waitSeconds`. */
  demand(request: DemandRequest, signal?: AbortSignal): Promise<Demand>;
  /** What a pool is like now. */
  reportPool(state: z.infer<typeof poolStateSchema>): Promise<void>;
  refuse(request: RefuseRequest): Promise<void>;
  /** Passes an order to drain on to the instance's `watch`. */
  drain(request: DrainRequest): Promise<void>;
}

export type FleetProtocol = RunnerProtocol & DirectorProtocol;
