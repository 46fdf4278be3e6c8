import { parseCancelAfter, parsePreferWait } from '../core/duration.ts';
import { ProblemError } from '../core/errors.ts';
import type { HardwareCatalogue } from '../core/hardware.ts';
import { newJobId } from '../core/ids.ts';
import { hasEnded, type Job, startJob } from '../core/job.ts';
import type { Model } from '../core/model.ts';
import type { OutputFile } from '../core/output-files.ts';
import { sharedPool, sharedPoolId } from '../core/pool.ts';
import { rememberTime } from '../core/remembered.ts';
import type { JobTrace } from '../core/trace.ts';
import type { Version } from '../core/version.ts';
import { explainWaiting } from '../core/waiting.ts';
import type { Webhook } from '../core/webhook.ts';
import type { JobFlow } from '../data/job-flow.ts';
import type { JobRecord } from '../data/jobs.ts';
import type { Pools } from '../data/pools.ts';
import { jobTopic, readProgress } from '../data/progress.ts';
import type { Channel } from '../ports/channel/port.ts';
import type { Objects } from '../ports/objects/port.ts';
import type { Durability, Value } from '../ports/table/port.ts';
import type { BootHistory } from './boot-history.ts';
import { signCapability } from './capability.ts';
import type { Runnable } from './catalogue.ts';
import type { ConcurrencyLimit } from './concurrency.ts';
import { type Idempotency, idempotencyMismatch } from './idempotency.ts';
import { CappedCount } from './limits.ts';
import { withUrls } from './output-urls.ts';
import type { PredictionBody } from './schemas.ts';
import { predictionBody } from './views.ts';

/** How long a waiter goes without looking itself, should its doorbell be lost. */
const secondLookMs = 2000;
/** How often a pool is marked as getting jobs. */
const touchMs = 60_000;
/** Waiting jobs that are counted to tell a position. */
const positionLimit = 1000;
/** Predictions on a page. */
const pageSize = 100;
/** How long a stream's URL can be used. */
const streamUrlSeconds = 24 * 3600;

/** Who asks: the account that all reads and writes are scoped by, and the token it came with. */
export interface Caller {
  readonly account: string;
  readonly token: string;
}

/** The headers that shape a prediction, as they came. */
export interface CreateHeaders {
  readonly prefer: string | undefined;
  readonly cancelAfter: string | undefined;
  readonly traceparent: string | undefined;
  /** Given where the prediction's own span is to be recorded. */
  readonly trace?: JobTrace | undefined;
  /** Given where the request came with an idempotency key. */
  readonly idempotency?: Idempotency;
}

interface Parts {
  readonly flow: JobFlow;
  readonly pools: Pools;
  /** Given where first starts of a version are foretold by those of others. */
  readonly history?: BootHistory;
  readonly channel: Channel;
  readonly objects: Objects;
  readonly hardware: HardwareCatalogue;
  readonly publicUrl: () => string;
  /** Signs URLs of streams. */
  readonly streamKey: Buffer;
  readonly now: () => number;
  /** Most predictions that wait for one pool; no limit where undefined or 0. */
  readonly queuedPerPool?: number;
  /** Given where accounts have a limit of predictions at a time. */
  readonly concurrency?: ConcurrencyLimit;
}

/** What an account can do with predictions. */
export class Predictions {
  readonly #parts: Parts;
  readonly #touched = new Map<string, number>();
  readonly #queues: CappedCount | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { flow, queuedPerPool: limit, now } = parts;
    if (limit)
      this.#queues = new CappedCount(limit, async (pool) => flow.jobs.count(pool, 'queued', limit), now);
  }

  /**
   * Creates a prediction and, where asked to, waits for its end.
   * @param hasLeft whether the client has gone; asked now and then while it is waited for
   * @param webhook checked already
   * @throws ProblemError `input_invalid` or, for headers, `invalid_request`
   */
  async create(
    runnable: Runnable,
    input: { readonly [name: string]: Value },
    caller: Caller,
    headers: CreateHeaders,
    hasLeft: () => boolean,
    webhook?: Webhook,
  ): Promise<PredictionBody> {
    const waitSeconds = requireWait(headers.prefer);
    const cancelAfterSeconds = requireCancelAfter(headers.cancelAfter);
    const checked = runnable.contract.check(input);
    const { idempotency, trace } = headers;
    const job = this.#newJob(runnable, caller, cancelAfterSeconds, idempotency, webhook, trace);
    const { secrets } = runnable.contract;
    const traceparent = trace?.traceparent ?? headers.traceparent ?? null;
    const options = { traceparent, secrets, webhook: webhook?.url };
    await this.#touch(runnable, job);
    const leave = await this.#enter(job);
    const begin = async (durability?: Durability) => {
      try {
        await this.#parts.flow.create(job, checked, options, durability);
      } catch (error) {
        leave?.();
        throw error;
      }
    };
    if (waitSeconds === 0) {
      await begin();
      return await this.show({ job, input: checked, result: undefined, ...options });
    }
    // Nobody is told of it before its end is durable, or much later.
    // Who repeats a request with its key may be told at once.
    const beginSoon = async () => begin(idempotency ? 'now' : 'soon');
    const ended = await this.#endOf(job.id, waitSeconds, hasLeft, beginSoon, leave);
    return await this.#waited(ended, job.id);
  }

  /**
   * @param mostBytes of each of its payloads; what has more is left out
   * @throws ProblemError `not_found`
   */
  async get(id: string, account: string, mostBytes?: number): Promise<PredictionBody> {
    return await this.show(await this.#own(id, account, mostBytes));
  }

  /** A page of an account's predictions, newest first. Times are epoch ms. */
  async list(
    account: string,
    options: {
      readonly cursor?: string;
      readonly after?: number;
      readonly before?: number;
      readonly matches?: (job: Job) => boolean;
    },
  ): Promise<{ readonly results: readonly PredictionBody[]; readonly next: string | undefined }> {
    const page = await this.#parts.flow.jobs.list(account, { limit: pageSize, ...options });
    return {
      results: await Promise.all(page.items.map(async (record) => this.show(record))),
      next: page.next,
    };
  }

  /** Idempotent. @throws ProblemError `not_found` */
  async cancel(id: string, account: string): Promise<PredictionBody> {
    await this.#own(id, account);
    await this.#parts.flow.cancel(id, 'canceled', this.#parts.now());
    return await this.get(id, account);
  }

  /**
   * The prediction that a key stands for, waited for as by whoever made it.
   * @returns undefined where there is none yet
   * @throws ProblemError `idempotency_mismatch` where another request made it, or `invalid_request`, for headers
   */
  async replay(
    { id, requestDigest }: Idempotency,
    headers: CreateHeaders,
    hasLeft: () => boolean,
  ): Promise<PredictionBody | undefined> {
    const known = await this.#parts.flow.jobs.get(id);
    if (!known) return undefined;
    if (known.requestDigest !== requestDigest) throw idempotencyMismatch(id);
    const waitSeconds = requireWait(headers.prefer);
    if (waitSeconds === 0 || hasEnded(known.status)) return await this.get(id, known.account);
    return await this.#waited(await this.#endOf(id, waitSeconds, hasLeft, async () => {}), id);
  }

  #newJob(
    { model, version }: Runnable,
    caller: Caller,
    cancelAfterSeconds: number | undefined,
    idempotency: Idempotency | undefined,
    webhook: Webhook | undefined,
    trace: JobTrace | undefined,
  ): Job {
    const createdAt = this.#parts.now();
    const name = `${model.owner}/${model.name}`;
    const { hardware } = model;
    return startJob({
      ...(idempotency ?? { id: newJobId(createdAt) }),
      kind: 'prediction',
      account: caller.account,
      token: caller.token,
      model: name,
      version: version.id,
      deployment: null,
      pool: sharedPoolId({ model: name, version: version.id, hardware }),
      hardware,
      microUsdPerSecond: this.#price(model, version),
      source: 'api',
      streams: version.streams,
      createdAt,
      deadlineAt: cancelAfterSeconds === undefined ? null : createdAt + cancelAfterSeconds * 1000,
      webhookEvents: webhook?.events ?? null,
      ...(trace && { trace }),
    });
  }

  #price({ hardware: sku }: Model, { id, gpuMemoryGb }: Version): number {
    const { hardware } = this.#parts;
    const found = hardware.find(sku);
    if (!found) throw new ProblemError('unavailable', `The hardware ${sku} is not offered here any more.`);
    // A version that was pushed before the model got smaller hardware is refused here, and not by a failing setup.
    const tooSmall = hardware.whyTooSmall(sku, gpuMemoryGb);
    if (tooSmall !== undefined)
      throw new ProblemError('invalid_body', `- version: ${sku} cannot hold ${id}. ${tooSmall}`);
    return found.microUsdPerSecond;
  }

  /**
   * Holds a new job to the limits of its pool and its account.
   * @returns what takes its place back, should it not come to be
   * @throws ProblemError `queue_full` or `concurrency_limited`
   */
  async #enter({ account, id, pool, model }: Job): Promise<(() => void) | undefined> {
    const { concurrency, queuedPerPool } = this.#parts;
    if (this.#queues && !(await this.#queues.admit(pool))) {
      const detail = `${queuedPerPool} predictions wait for ${model} already, as many as may. Try again later.`;
      throw new ProblemError('queue_full', detail, { 'retry-after': '5' });
    }
    if (!concurrency) return undefined;
    await concurrency.enter(account, id);
    return () => concurrency.leave(account, id);
  }

  /** Marks the pool as getting jobs, so that directors and the sweeper look at it. */
  async #touch({ model, version }: Runnable, job: Job): Promise<void> {
    const now = this.#parts.now();
    if (now - (this.#touched.get(job.pool) ?? 0) < touchMs) return;
    await this.#parts.pools.touch(sharedPool(model, version), now);
    rememberTime(this.#touched, job.pool, now, touchMs);
  }

  /**
   * Listens for a job's end, begins it, and waits. A doorbell that is lost costs the time to the next look.
   * @param onVanished called where what was begun could not be kept
   * @returns the record at its end; undefined when the time is over or the client has gone
   */
  async #endOf(
    id: string,
    seconds: number,
    hasLeft: () => boolean,
    begin: () => Promise<void>,
    onVanished?: () => void,
  ): Promise<JobRecord | undefined> {
    const doorbell = new Doorbell();
    const subscription = await this.#parts.channel.subscribe(jobTopic(id), (event) => {
      if (event === undefined) doorbell.ring();
    });
    const until = performance.now() + seconds * 1000;
    try {
      await begin();
      for (;;) {
        const leftMs = until - performance.now();
        await doorbell.wait(Math.min(leftMs, secondLookMs));
        const recent = this.#parts.flow.jobs.recent(id);
        const hasItEnded = recent !== undefined && hasEnded(recent.job.status);
        const record = hasItEnded ? recent : await this.#parts.flow.jobs.record(id);
        if (!record) {
          onVanished?.();
          throw vanished(id);
        }
        if (hasEnded(record.job.status)) return record;
        if (leftMs <= secondLookMs || hasLeft()) return undefined;
      }
    } finally {
      subscription.close();
    }
  }

  /** What a wait is answered with: clients poll on only while they read `starting`. */
  async #waited(ended: JobRecord | undefined, id: string): Promise<PredictionBody> {
    if (ended) return await this.show(ended);
    const record = await this.#parts.flow.jobs.record(id);
    if (!record) throw vanished(id);
    const body = await this.show(record);
    return hasEnded(record.job.status) ? body : { ...body, status: 'starting' };
  }

  async #own(id: string, account: string, mostBytes?: number): Promise<JobRecord> {
    const record = await this.#parts.flow.jobs.record(id, mostBytes);
    if (record?.job.account !== account || record.job.kind !== 'prediction') {
      throw new ProblemError('not_found', `There is no prediction ${id}.`);
    }
    return record;
  }

  /** What a record reads like to those who may see it. */
  async show(record: JobRecord): Promise<PredictionBody> {
    const { job } = record;
    const { result } = record;
    const shown = result?.files ? { ...record, result: await this.#withUrls(job, result) } : record;
    const progress = job.status === 'processing' ? await readProgress(this.#parts.channel, job) : undefined;
    return predictionBody(shown, {
      publicUrl: this.#parts.publicUrl(),
      streamUrl: job.streams ? this.#streamUrl(job) : undefined,
      progress: progress?.files ? await this.#withUrls(job, progress) : progress,
      waiting: job.status === 'starting' ? await this.#waiting(job) : undefined,
    });
  }

  async #withUrls<T extends { readonly output: Value; readonly files?: readonly OutputFile[] | undefined }>(
    job: Job,
    result: T,
  ): Promise<T> {
    return { ...result, output: await withUrls(this.#parts.objects, job, result.output, result.files) };
  }

  #streamUrl(job: Job): string {
    const expires = Math.floor(this.#parts.now() / 1000) + streamUrlSeconds;
    const signature = signCapability(this.#parts.streamKey, `stream:${job.id}`, expires);
    return `${this.#parts.publicUrl()}/v1/streams/${job.id}?expires=${expires}&signature=${signature}`;
  }

  async #waiting(job: Job): Promise<PredictionBody['waiting']> {
    const { flow, pools, history, now } = this.#parts;
    const [ahead, pool, state, runSeconds] = await Promise.all([
      flow.jobs.count(job.pool, 'queued', positionLimit, job),
      pools.get(job.pool),
      pools.state(job.pool),
      pools.runSeconds(job.pool),
    ]);
    const concurrency = pool?.concurrency ?? 1;
    const priorSetupSeconds = await history?.before(state, job);
    const position = ahead + 1;
    return explainWaiting({ state, concurrency, position, runSeconds, priorSetupSeconds, now: now() });
  }
}

/** Wakes one waiter; a ring that comes before the wait is not lost. */
class Doorbell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  async wait(ms: number): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#rung = false;
    this.#wake = undefined;
  }
}

/** A prediction that is waited for is acknowledged before it is durable: a full disk can undo it. */
function vanished(id: string): ProblemError {
  return new ProblemError(
    'unavailable',
    `Prediction ${id} could not be stored, and was not run. Send the request again.`,
    { 'retry-after': '5' },
  );
}

function requireWait(header: string | undefined): number {
  const seconds = parsePreferWait(header);
  if (seconds === undefined) {
    throw new ProblemError('invalid_request', 'Prefer: wait=n takes a number of seconds from 1 to 60.');
  }
  return seconds;
}

function requireCancelAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = parseCancelAfter(header);
  if (seconds === undefined) {
    throw new ProblemError(
      'invalid_request',
      'Cancel-After takes at least five seconds, such as 30, 90s, 5m or 1h30m45s.',
    );
  }
  return seconds;
}
