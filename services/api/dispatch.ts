import type { Logger } from 'pino';
import { ProblemError } from '../core/errors.ts';
import { newJobId } from '../core/ids.ts';
import type { Job } from '../core/job.ts';
import { outputFileKey } from '../core/output-files.ts';
import { remember } from '../core/remembered.ts';
import type { InstanceRecords } from '../data/instance-records.ts';
import type { InstanceReports } from '../data/instance-reports.ts';
import type { JobFlow } from '../data/job-flow.ts';
import type { Result } from '../data/jobs.ts';
import type { Pools } from '../data/pools.ts';
import {
  demandTopic,
  encodeOutput,
  formatPlace,
  instanceTopic,
  jobTopic,
  readProgress,
} from '../data/progress.ts';
import type { Channel } from '../ports/channel/port.ts';
import {
  type Assignment,
  type DrainRequest,
  type FilePlace,
  type FleetProtocol,
  type HeartbeatRequest,
  type InstanceReport,
  type JobRef,
  type LeaseRequest,
  leaseSeconds,
  type PlaceFileRequest,
  type Report,
  type RunnerEvent,
  type StopList,
} from '../ports/fleet-protocol/port.ts';
import type { Objects } from '../ports/objects/port.ts';
import type { Queue } from '../ports/queue/port.ts';
import type { Durability } from '../ports/table/port.ts';
import { Demands } from './demands.ts';
import { LiveCheckpoints } from './live-checkpoints.ts';
import { longPoll } from './long-poll.ts';
import type { ScaledPools } from './scaled-pools.ts';

/** How long a runner has to store a file. */
const putUrlSeconds = 900;

/** Who speaks the fleet protocol: a runner of one pool, or the director. */
export type FleetIdentity =
  | {
      readonly role: 'runner';
      readonly pool: string;
      /** The pod that it is in, which is its instance; absent outside of a cluster. */
      readonly pod?: string | undefined;
    }
  | { readonly role: 'director' };

/** How often what a running job has put out is stored. */
const checkpointMs = 10_000;
/** Attempts, and instances, of which this process remembers something; the oldest are forgotten first. */
const rememberedLimit = 10_000;

/** What this process remembers of an attempt that it hears from. */
interface Followed {
  readonly attempt: number;
  chunks: number;
  logEvents: number;
  outputShown: boolean;
  checkpointedAt: number;
}

/** The control plane's side of the fleet protocol. */
export class Dispatch {
  readonly #flow: JobFlow;
  readonly #queue: Queue;
  readonly #channel: Channel;
  readonly #objects: Objects;
  readonly #now: () => number;
  readonly #live: LiveCheckpoints;
  readonly #followed = new Map<string, Followed>();
  readonly #watched = new Map<string, string>();
  readonly #demands: Demands;
  readonly #reports: InstanceReports;
  readonly #logger: Logger | undefined;

  constructor(parts: {
    flow: JobFlow;
    pools: Pools;
    reports: InstanceReports;
    records: InstanceRecords;
    scaled: ScaledPools;
    queue: Queue;
    channel: Channel;
    objects: Objects;
    now: () => number;
    /** See `Demands`. */
    demandSpacingMs?: number;
    /** Told of what went wrong and needs no answer. */
    logger?: Logger;
  }) {
    this.#flow = parts.flow;
    this.#queue = parts.queue;
    this.#channel = parts.channel;
    this.#objects = parts.objects;
    this.#now = parts.now;
    this.#live = new LiveCheckpoints(parts.flow);
    this.#demands = new Demands(parts);
    this.#reports = parts.reports;
    this.#logger = parts.logger;
  }

  /** Listens for wake-ups; call once before the first director asks. */
  async start(): Promise<void> {
    await this.#demands.start();
  }

  /**
   * The protocol as one peer may speak it; every call is checked against its identity.
   * @param leases when a lease is acknowledged. `soon` only where neither the peer nor its model outlives this process:
   * else one whose lease a kill has undone would go on under the attempt that another runner gets
   */
  protocolFor(identity: FleetIdentity, leases: Durability = 'now'): FleetProtocol {
    return {
      lease: async (request, signal) => this.#lease(runnersPool(identity), request, leases, signal),
      heartbeat: async (request) => this.#heartbeat(runnersPool(identity), request),
      watch: async (request, signal) => this.#watch(runnersPool(identity), request, signal),
      report: async (report) => this.#report(runnersPool(identity), report),
      placeFile: async (request) => this.#placeFile(runnersPool(identity), request),
      giveBack: async (ref) => this.#giveBack(runnersPool(identity), ref),
      reportInstance: async (report) => {
        mustBePod(identity, report.instance);
        await this.#reportInstance(runnersPool(identity), report);
      },
      drain: async (request) => {
        mustBeDirector(identity);
        await this.#drain(request);
      },
      demand: async (request, signal) => {
        mustBeDirector(identity);
        return await this.#demands.next(request, signal);
      },
      reportPool: async (state) => {
        mustBeDirector(identity);
        await this.#demands.reportPool(state);
      },
      refuse: async (request) => {
        mustBeDirector(identity);
        await this.#demands.refuse(request);
      },
    };
  }

  async #lease(
    pool: string,
    request: LeaseRequest,
    durability: Durability,
    signal?: AbortSignal,
  ): Promise<Assignment | null> {
    const until = this.#now() + request.waitSeconds * 1000;
    for (;;) {
      // The clock may have been set back.
      const waitSeconds = Math.min(request.waitSeconds, Math.max(0, (until - this.#now()) / 1000));
      const message = await this.#queue.receive(pool, { waitSeconds, signal });
      if (!message) return null;
      const leasing = this.#leaseJob(pool, message.jobId, request.instance, durability);
      // What could not be written now, as on a full disk, can be a moment later: whoever asks next gets it.
      const assignment = await leasing.catch(async (error: unknown) => {
        await message.release();
        throw error;
      });
      // Whoever gets it again finds that the job does not wait any more.
      await message.remove().catch((error: unknown) => {
        this.#logger?.warn({ err: error, job: message.jobId }, 'a message could not be removed');
      });
      if (!assignment) continue;
      if (!signal?.aborted) return assignment;
      // Whoever asked has gone meanwhile.
      await this.#giveBack(pool, assignment);
      return null;
    }
  }

  /** Leases one job; undefined where it does not wait any more or is not the pool's. */
  async #leaseJob(
    pool: string,
    id: string,
    instance: string,
    durability: Durability,
  ): Promise<Assignment | undefined> {
    for (let known = this.#flow.jobs.recent(id); ; known = undefined) {
      const record = known ?? (await this.#flow.jobs.record(id));
      if (record?.job.pool !== pool) return undefined;
      const event = { type: 'leased', at: this.#now(), instance, leaseMs: leaseSeconds * 1000 } as const;
      const decided = await this.#flow.jobs.applyTo(record.job, event, undefined, durability);
      if (!decided) continue;
      if (decided.kind === 'refused' && known) continue;
      if (decided.kind === 'refused') return undefined;
      // Its reports come to this process, as a rule.
      if (!known) this.#flow.jobs.keepAtHand({ ...record, job: decided.job });
      const { kind, version, attempt } = decided.job;
      return {
        id,
        attempt,
        kind,
        version,
        input: { ...record.input } as Assignment['input'],
        traceparent: record.traceparent,
      };
    }
  }

  async #heartbeat(pool: string, request: HeartbeatRequest): Promise<StopList> {
    const stop: JobRef[] = [];
    for (const ref of request.jobs) {
      const job = await this.#flow.jobs.get(ref.id);
      const isKept = job && isHeld(job, pool, ref.attempt) && (await this.#renew(job, false));
      if (!isKept) stop.push(ref);
    }
    return { stop };
  }

  async #renew(job: Job, outputShown: boolean): Promise<boolean> {
    return await this.#flow.jobs.renew(job, { expiresAt: this.#now() + leaseSeconds * 1000, outputShown });
  }

  async #watch(pool: string, request: LeaseRequest, signal?: AbortSignal): Promise<StopList> {
    const topic = instanceTopic(`${pool}/${request.instance}`);
    const poll = longPoll(request.waitSeconds, signal);
    const stop: JobRef[] = [];
    let drain: StopList['drain'];
    const take = (event: { id: string; data: string }) => {
      remember(this.#watched, topic, event.id, rememberedLimit);
      const order = JSON.parse(event.data) as JobRef | Pick<StopList, 'drain'>;
      if ('id' in order) stop.push(order);
      else drain = order.drain;
    };
    const subscription = await this.#channel.subscribe(
      topic,
      (event) => {
        if (event) take(event);
        poll.end();
      },
      this.#watched.get(topic),
    );
    subscription.replay.events.forEach(take);
    if (stop.length > 0 || drain) poll.end();
    await poll.ended;
    subscription.close();
    return { stop, ...(drain ? { drain } : {}) };
  }

  async #reportInstance(pool: string, report: InstanceReport): Promise<void> {
    await this.#reports.put(pool, report, this.#now());
    // Its director hears of it at once.
    await this.#channel.ring(demandTopic);
  }

  async #drain({ pool, instance, graceSeconds }: DrainRequest): Promise<void> {
    const data = JSON.stringify({ drain: { graceSeconds } } satisfies Pick<StopList, 'drain'>);
    const id = `drain-${newJobId(this.#now())}`;
    await this.#channel.publish(instanceTopic(`${pool}/${instance}`), { id, type: 'drain', data });
  }

  async #report(pool: string, report: Report): Promise<void> {
    let held: Job | undefined;
    for (const event of report.events) {
      if (event.type === 'ended') {
        await this.#ended(pool, report, event);
      } else {
        held ??= await this.#held(pool, report);
        await this.#progressed(held, event);
      }
    }
  }

  async #progressed(job: Job, event: Exclude<RunnerEvent, { type: 'ended' }>): Promise<void> {
    const followed = this.#follow(job);
    if (event.type === 'output') {
      await this.#markShown(job, followed);
      // A report whose answer was lost is sent again.
      if (event.index < followed.chunks) return;
      followed.chunks = event.index + 1;
      followed.logEvents = 0;
    } else if (event.place) {
      followed.chunks = event.place.chunk;
      followed.logEvents = event.place.log;
    } else {
      followed.logEvents += 1;
    }
    const id = formatPlace({ attempt: job.attempt, chunk: followed.chunks, log: followed.logEvents });
    const said = event.type === 'output' ? encodeOutput(event) : { type: event.type, data: event.text };
    await this.#channel.publish(jobTopic(job.id), { id, ...said });
    if (!job.webhookEvents || !(await this.#live.note(job, event.type)))
      await this.#checkpoint(job, followed);
  }

  /** Before a reader can see output it is on record, so that the job is never run a second time. */
  async #markShown(job: Job, followed: Followed): Promise<void> {
    if (followed.outputShown) return;
    if (!(await this.#renew(job, true))) throw staleAttempt(job.id);
    followed.outputShown = true;
  }

  async #checkpoint(job: Job, followed: Followed): Promise<void> {
    if (this.#now() - followed.checkpointedAt < checkpointMs) return;
    followed.checkpointedAt = this.#now();
    const progress = await readProgress(this.#channel, job);
    if (progress) await this.#flow.jobs.checkpoint(job, { ...progress, metrics: {}, attempt: job.attempt });
  }

  async #ended(pool: string, ref: JobRef, event: Extract<RunnerEvent, { type: 'ended' }>): Promise<void> {
    const { outcome } = event;
    const result: Result = {
      output: outcome.output,
      logs: event.logs,
      metrics: outcome.metrics,
      attempt: ref.attempt,
      files: outcome.files,
    };
    const applied = await this.#flow.apply(
      ref.id,
      {
        type: 'ended',
        at: this.#now(),
        attempt: ref.attempt,
        outcome,
        outputShown: outcome.status === 'failed' && (await this.#outputShown(ref.id, ref.attempt)),
        acceptedAfterMs: event.acceptedAfterMs,
      },
      result,
      pool,
      this.#flow.jobs.recent(ref.id)?.job,
    );
    if (applied?.changed) {
      this.#followed.delete(ref.id);
      return;
    }
    if (applied?.job.status === 'canceled' && applied.job.attempt === ref.attempt) {
      this.#followed.delete(ref.id);
      // The model's last words: what it had put out when it was stopped.
      await this.#flow.jobs.checkpoint(applied.job, await this.#lastWords(ref, result));
      return;
    }
    throw staleAttempt(ref.id);
  }

  /** The end of a job that was canceled; what readers saw of it stays where its runner could not bring it again. */
  async #lastWords({ id, attempt }: JobRef, result: Result): Promise<Result> {
    if (result.output !== null || result.files?.length) return result;
    const kept = (await this.#flow.jobs.record(id))?.result;
    return kept?.attempt === attempt ? { ...result, output: kept.output, files: kept.files } : result;
  }

  async #placeFile(pool: string, { contentType, ...ref }: PlaceFileRequest): Promise<FilePlace> {
    const job = await this.#held(pool, ref);
    const name = newJobId(this.#now());
    await this.#flow.jobs.placedFiles.note(job, name, this.#now());
    const url = await this.#objects.signPut(outputFileKey(job, name), {
      expiresSeconds: putUrlSeconds,
      contentType,
    });
    return { name, url };
  }

  async #giveBack(pool: string, ref: JobRef): Promise<void> {
    const outputShown = await this.#outputShown(ref.id, ref.attempt);
    await this.#flow.apply(
      ref.id,
      { type: 'given_back', at: this.#now(), attempt: ref.attempt, outputShown },
      undefined,
      pool,
    );
  }

  async #held(pool: string, ref: JobRef): Promise<Job> {
    const job = await this.#flow.jobs.get(ref.id);
    if (!job || !isHeld(job, pool, ref.attempt)) throw staleAttempt(ref.id);
    return job;
  }

  #follow(job: Job): Followed {
    const known = this.#followed.get(job.id);
    if (known?.attempt === job.attempt) return known;
    const fresh = {
      attempt: job.attempt,
      chunks: 0,
      logEvents: 0,
      outputShown: false,
      checkpointedAt: job.startedAt ?? this.#now(),
    };
    remember(this.#followed, job.id, fresh, rememberedLimit);
    return fresh;
  }

  async #outputShown(id: string, attempt: number): Promise<boolean> {
    const known = this.#followed.get(id);
    if (known?.attempt === attempt) return known.outputShown;
    const heartbeat = await this.#flow.jobs.heartbeat(id);
    return heartbeat?.attempt === attempt && heartbeat.outputShown;
  }
}

function runnersPool(identity: FleetIdentity): string {
  if (identity.role !== 'runner') throw new ProblemError('forbidden', 'Only a runner may make this call.');
  return identity.pool;
}

/** Only a cluster's director goes by reports. Others could fill its memory with instances that there are not. */
function mustBePod(identity: FleetIdentity, instance: string): void {
  if (identity.role === 'runner' && identity.pod === instance) return;
  throw new ProblemError('forbidden', 'Only a runner in a pod may make this call, and of its own instance.');
}

function mustBeDirector(identity: FleetIdentity): void {
  if (identity.role !== 'director')
    throw new ProblemError('forbidden', 'Only a director may make this call.');
}

function isHeld(job: Job, pool: string, attempt: number): boolean {
  return job.pool === pool && job.status === 'processing' && job.attempt === attempt;
}

function staleAttempt(id: string): ProblemError {
  return new ProblemError('stale_attempt', `Job ${id} is not held under this attempt any more; stop it.`);
}
