import { hasEnded, isDataGone, type Job, type JobEvent, type Transition, transition } from '../core/job.ts';
import { remember } from '../core/remembered.ts';
import type { Objects } from '../ports/objects/port.ts';
import {
  type Condition,
  ConflictError,
  type Durability,
  type Item,
  type Page,
  type Table,
  type Value,
  type WriteOp,
} from '../ports/table/port.ts';
import { DataLife } from './data-life.ts';
import { fillPage } from './filtered-page.ts';
import {
  ageKey,
  heartbeatKey,
  jobItem,
  jobKey,
  jobPartition,
  listingPartition,
  objectKey,
  payloadItem,
  unfinishedPartition,
} from './job-items.ts';
import { writePayloadAndRow } from './job-writes.ts';
import {
  inlineCharacters,
  inputData,
  isInline,
  isSmall,
  makeResult,
  ownResult,
  type PayloadPart,
  PayloadReader,
  type Result,
  resultObjects,
  storeValue,
  webhookOf,
} from './payloads.ts';
import { PlacedFiles } from './placed-files.ts';
import { Retention } from './retention.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

/** Small jobs that a process keeps at hand after it has written them. */
const recentJobs = 512;
/** How long a heartbeat's item outlives its lease. */
const heartbeatKeptSeconds = 3600;

export type { Result } from './payloads.ts';

export interface JobRecord {
  readonly job: Job;
  readonly input: { readonly [name: string]: Value };
  /** undefined while nothing was put out. */
  readonly result: Result | undefined;
  readonly traceparent: string | null;
  readonly secrets: readonly string[];
  /** The URL of its webhook. */
  readonly webhook?: string;
  /** What is empty here because it is larger than was asked for. */
  readonly omitted?: readonly PayloadPart[];
}

export interface CreateOptions {
  /** W3C trace context of the request, passed on to the model. */
  readonly traceparent: string | null;
  /** Names of inputs that are never shown again. */
  readonly secrets: readonly string[];
  /** The URL of its webhook, which the job's row does not hold. */
  readonly webhook?: string;
}

/** A runner's sign of life for one attempt. */
export interface Heartbeat {
  readonly attempt: number;
  readonly expiresAt: number;
  /** Whether a reader may have seen part of this attempt's output. */
  readonly outputShown: boolean;
}

export interface JobsOptions {
  /**
   * How long after a job's end its data goes by itself where nothing but items of the Table belongs to it, which saves
   * the writes of a removal; what has objects is removed by the sweeper in any case. @default 0: all is removed by it
   */
  readonly expireDataAfterSeconds?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** Jobs as they are stored: one partition a job, its row small, its payloads beside it. */
export class Jobs {
  readonly #table: Table;
  readonly #objects: Objects;
  readonly #now: () => number;
  readonly #recent = new Map<string, JobRecord>();
  readonly dataLife: DataLife;
  readonly retention: Retention;
  readonly placedFiles: PlacedFiles;

  constructor(
    table: Table,
    objects: Objects,
    { expireDataAfterSeconds = 0, now = Date.now }: JobsOptions = {},
  ) {
    this.#table = table;
    this.#objects = objects;
    this.#now = now;
    this.dataLife = new DataLife(table, expireDataAfterSeconds);
    this.placedFiles = new PlacedFiles(table, objects);
    this.retention = new Retention(table, objects, (id) => this.#recent.delete(id));
  }

  /** @throws ConflictError where a job of this id exists */
  async create(
    made: Job,
    input: { readonly [name: string]: Value },
    options: CreateOptions,
    durability?: Durability,
  ): Promise<void> {
    // Of two requests with one idempotency key, neither may touch the other's input.
    const name = made.requestDigest === undefined ? 'input' : `input-${made.requestDigest}`;
    const stored = await storeValue(this.#objects, made, name, input);
    const job = this.dataLife.begin(made, isInline(stored));
    const expiresAt = this.dataLife.inputExpiry(job, job.createdAt);
    const payload = payloadItem(job, 'INPUT', inputData(stored, options), expiresAt);
    const row: WriteOp = { op: 'put', item: jobItem(job), when: { absent: true } };
    try {
      await writePayloadAndRow(this.#table, payload, row, durability);
    } catch (error) {
      if (!isInline(stored) && (await this.get(job.id))?.requestDigest !== job.requestDigest)
        await this.#objects.remove(objectKey(job, name));
      throw error;
    }
    if (isInline(stored)) this.#remember({ job, input, result: undefined, ...options });
  }

  /**
   * A job as this process wrote it last, where it did so lately: the truth unless another process was faster. Good
   * enough for a conditional write, and for what has ended.
   */
  recent(id: string): JobRecord | undefined {
    return this.#recent.get(id);
  }

  /** Keeps a job at hand that this process has just written, unless it is too large for that. */
  keepAtHand(record: JobRecord): void {
    if (JSON.stringify(record.input).length <= inlineCharacters) this.#remember(record);
  }

  async get(id: string): Promise<Job | undefined> {
    const item = await this.#table.get(jobKey(id));
    return item && this.#read(item);
  }

  #read(row: Item): Job {
    const job = fromStored<Job>(row);
    return isDataGone(job, this.#now()) ? { ...job, dataRemoved: true } : job;
  }

  /** The job with its payloads, those with more than `mostBytes` left out. */
  async record(id: string, mostBytes = Number.POSITIVE_INFINITY): Promise<JobRecord | undefined> {
    const { items } = await this.#table.query({ pk: jobPartition(id) }, { limit: 10 });
    const parts = new Map(items.map((item) => [item.sk, item]));
    const row = parts.get('JOB');
    if (!row) return undefined;
    const job = this.#read(row);
    // Its objects may be about to go, and then it must not be shown in part.
    const [input, result] = job.dataRemoved ? [] : [parts.get('INPUT'), ownResult(job, parts.get('RESULT'))];
    const reader = new PayloadReader(this.#objects, mostBytes);
    return {
      job,
      input: (input && (await reader.value<JobRecord['input']>('input', input.data.value))) ?? {},
      result: result && (await reader.result(result)),
      traceparent: typeof input?.data.traceparent === 'string' ? input.data.traceparent : null,
      secrets: (input?.data.secrets as readonly string[] | undefined) ?? [],
      ...webhookOf(input),
      ...(reader.omitted.length > 0 ? { omitted: reader.omitted } : {}),
    };
  }

  /** The URL of a job's webhook. */
  async webhook(id: string): Promise<string | undefined> {
    return webhookOf(await this.#table.get({ pk: jobPartition(id), sk: 'INPUT' })).webhook;
  }

  /** Predictions of an account, newest first. */
  async list(
    account: string,
    options: {
      readonly limit: number;
      readonly cursor?: string;
      readonly after?: number;
      readonly before?: number;
      /** Where given, only jobs for which it holds; see `fillPage` for how full a page then is. */
      readonly matches?: (job: Job) => boolean;
    },
  ): Promise<Page<JobRecord>> {
    const { limit, matches } = options;
    const look = async (from: string | undefined, count: number): Promise<Page<Job>> => {
      const page = await this.#table.query(
        { index: 'listing', pk: listingPartition(account) },
        {
          descending: true,
          limit: count,
          cursor: from,
          after: options.after === undefined ? undefined : `${timeKey(options.after)}~`,
          before: options.before === undefined ? undefined : timeKey(options.before),
        },
      );
      return { items: page.items.map((item) => this.#read(item)), next: page.next };
    };
    const page = matches
      ? await fillPage(look, matches, { limit, cursor: options.cursor })
      : await look(options.cursor, limit);
    const records = await Promise.all(page.items.map(({ id }) => this.record(id)));
    return { items: records.filter((record) => record !== undefined), next: page.next };
  }

  /**
   * Applies an event to a job that was just read, by one conditional write.
   * @param result stored in the same write where the job ends
   * @param durability `soon` for what a restart may undo @default now
   * @returns what became of it; undefined where the job has changed since it was read: read it again
   */
  async applyTo(
    job: Job,
    event: JobEvent,
    result?: Result,
    durability?: Durability,
  ): Promise<Transition | undefined> {
    const decided = transition(job, event);
    if (decided.kind === 'refused') return decided;
    const isPutBack = decided.job.status === 'starting' && 'outputShown' in event;
    const goesByTime = event.type === 'lease_lost' && event.unlessRenewed === true;
    const heartbeat = isPutBack || goesByTime ? await this.heartbeat(job.id) : undefined;
    if (goesByTime && heartbeat?.attempt === job.attempt && heartbeat.expiresAt > event.at)
      return { kind: 'refused', reason: 'renewed' };
    if (heartbeat?.attempt === job.attempt && heartbeat.outputShown && isPutBack && !event.outputShown) {
      return await this.applyTo(job, { ...event, outputShown: true }, result, durability);
    }
    const isEnd = hasEnded(decided.job.status);
    const payload =
      isEnd && result
        ? await makeResult(this.#objects, job, event.type, result, { by: event.type })
        : undefined;
    const after = isEnd ? this.#atEnd(decided.job, payload) : decided.job;
    const row: WriteOp = {
      op: 'put',
      item: jobItem(after),
      when: { equals: { status: job.status, attempt: job.attempt } },
    };
    const known = this.#recent.get(job.id);
    this.#recent.delete(job.id);
    try {
      // What is lost must not be shown, nor its lease renewed, at the same moment.
      const check: WriteOp = { op: 'check', key: heartbeatKey(job.id), when: asRead(heartbeat) };
      if (payload) await writePayloadAndRow(this.#table, this.#expiring(after, payload), row, durability);
      else await this.#table.write(isPutBack || goesByTime ? [row, check] : [row], durability);
      if (known && !payload) this.#remember({ ...known, job: after });
      else if (known && payload && isSmall(payload)) this.#remember({ ...known, job: after, result });
      return { kind: 'write', job: after };
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      if (payload) await this.#dropUnnamed(job.id, payload);
      return undefined;
    }
  }

  /** The row of a job at its end: it names the result that is its own, and says when its data goes. */
  #atEnd(ended: Job, result: Item | undefined): Job {
    const isLight = !result || (isSmall(result) && result.data.files === undefined);
    const job = this.dataLife.end(ended, isLight);
    return typeof result?.data.by === 'string' ? { ...job, resultBy: result.data.by } : job;
  }

  #expiring(job: Job, result: Item): Item {
    const expiresAt = this.dataLife.resultExpiry(job);
    return expiresAt === undefined ? result : { ...result, expiresAt };
  }

  /**
   * Stores what an attempt has put out so far, or the last words of a job that was canceled; nothing where the job is
   * not in the state of `job` any more.
   * @param announces what of it a webhook is to be told
   */
  async checkpoint(job: Job, result: Result, announces?: 'output' | 'logs'): Promise<void> {
    const { status, attempt } = job;
    const when = { equals: { status, attempt, dataRemoved: false } };
    const item = await makeResult(this.#objects, job, status, result, announces ? { announces } : {});
    this.#recent.delete(job.id);
    try {
      await this.#table.write([
        { op: 'check', key: jobKey(job.id), when },
        { op: 'put', item },
      ]);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      await this.#dropUnnamed(job.id, item);
    }
  }

  async heartbeat(id: string): Promise<Heartbeat | undefined> {
    const item = await this.#table.get(heartbeatKey(id));
    return item && fromStored<Heartbeat>(item);
  }

  /**
   * Renews the lease of a job until `expiresAt`, and notes where its output is about to be shown; that is never taken
   * back.
   * @returns whether the job was held under this attempt; where it was not, nothing was written
   */
  async renew(job: Job, { expiresAt, outputShown }: Omit<Heartbeat, 'attempt'>): Promise<boolean> {
    const { id, attempt } = job;
    for (;;) {
      const known = await this.heartbeat(id);
      const last = known?.attempt === attempt ? known : undefined;
      if (known && known.attempt > attempt) return false;
      const next = { attempt, expiresAt, outputShown: outputShown || last?.outputShown === true };
      const item = {
        ...heartbeatKey(id),
        data: toStored(next),
        expiresAt: Math.ceil(expiresAt / 1000) + heartbeatKeptSeconds,
      };
      const ops: WriteOp[] = [{ op: 'put', item, when: asRead(known) }];
      // A mere renewal, of which there are many, needs no look at the job.
      const isHeld = { equals: { status: 'processing', attempt } };
      if (next.outputShown !== last?.outputShown) ops.push({ op: 'check', key: jobKey(id), when: isHeld });
      try {
        await this.#table.write(ops);
        return true;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        if (error.failed.includes(1)) return false;
      }
    }
  }

  /** How many jobs of a pool wait or run, counted up to `limit`; where `before` is given, those older than it. */
  async count(pool: string, state: 'queued' | 'running', limit: number, before?: Job): Promise<number> {
    const partition = { index: 'unfinished', pk: unfinishedPartition(pool, state) } as const;
    return await this.#table.count(partition, limit, before && ageKey(before));
  }

  /** Jobs of a pool that wait or run, oldest first: those younger than `after` and older than `before`. */
  async unfinished(
    pool: string,
    state: 'queued' | 'running',
    options: { readonly limit: number; readonly after?: Job; readonly before?: Job },
  ): Promise<readonly Job[]> {
    const { items } = await this.#table.query(
      { index: 'unfinished', pk: unfinishedPartition(pool, state) },
      {
        limit: options.limit,
        after: options.after && ageKey(options.after),
        before: options.before && ageKey(options.before),
      },
    );
    return items.map((item) => fromStored<Job>(item));
  }

  /**
   * All jobs of a pool that wait or run, oldest first, `limit` at a time. An index lags: a page whose jobs have just
   * gone on has fewer, or none, and is not the last for that.
   * @param after where given, only jobs younger than it
   */
  async *unfinishedPages(
    pool: string,
    state: 'queued' | 'running',
    limit: number,
    after?: Job,
  ): AsyncGenerator<readonly Job[]> {
    const partition = { index: 'unfinished', pk: unfinishedPartition(pool, state) } as const;
    let cursor: string | undefined;
    do {
      const page = await this.#table.query(partition, { limit, cursor, after: after && ageKey(after) });
      yield page.items.map((item) => fromStored<Job>(item));
      cursor = page.next;
    } while (cursor !== undefined);
  }

  /** Unfinished jobs whose `Cancel-After` time is over. */
  async overdue(
    now: number,
    options: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<Job>> {
    const partition = { index: 'due', pk: 'DEADLINES' } as const;
    const page = await this.#table.query(partition, { ...options, before: timeKey(now + 1) });
    return { items: page.items.map((item) => fromStored<Job>(item)), next: page.next };
  }

  #remember(record: JobRecord): void {
    remember(this.#recent, record.job.id, record, recentJobs);
  }

  /** Removes the objects of a result that was not written, unless the job can still come to have them. */
  async #dropUnnamed(id: string, item: Item): Promise<void> {
    const objects = resultObjects(item);
    if (objects.length === 0) return;
    const job = await this.get(id);
    // Two that say the same have the same objects: until the job has ended the other may be the one that is written.
    if (!job || !hasEnded(job.status)) return;
    const named = resultObjects(await this.#table.get({ pk: jobPartition(id), sk: 'RESULT' }));
    for (const key of objects) if (!named.includes(key)) await this.#objects.remove(key);
  }
}

/**
 * Whether an item is the row of a job as it ended: the change that metering follows. What is written of it later (its
 * data was removed, it became an example) is no end.
 */
export function isEndedJob({ sk, data }: Pick<Item, 'sk' | 'data'>): boolean {
  if (sk !== 'JOB' || !hasEnded(data.status as Job['status'])) return false;
  return data.dataRemoved !== true && data.example === undefined;
}

/** Holds while a heartbeat is as it was read. */
function asRead(heartbeat: Heartbeat | undefined): Condition {
  if (!heartbeat) return { absent: true };
  const { attempt, expiresAt, outputShown } = heartbeat;
  return { equals: { attempt, expiresAt, outputShown } };
}
