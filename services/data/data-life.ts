import type { Job } from '../core/job.ts';
import { ConflictError, type Item, type Table } from '../ports/table/port.ts';
import { jobPartition, unfinishedPartition } from './job-items.ts';
import { fromStored, timeKey } from './stored.ts';

/** A run that was shorter than this has stored its result once, at its end. */
const plainRunMs = 10_000;
/** For how long a job may wait and run before its input needs to be renewed twice. */
export const inputLifeSeconds = 2 * 24 * 3600;
/** Jobs of a pool and state whose inputs one look renews. */
const renewalBatch = 100;

/**
 * Whether nothing is left of a job but its row and its items: it ended by its first attempt before anything of it was
 * stored on the way.
 */
export function isPlainRun(job: Job): boolean {
  const ranMs = job.startedAt === null ? 0 : (job.completedAt ?? 0) - job.startedAt;
  // What a webhook hears of while it runs is stored every half second.
  const isLive = job.webhookEvents?.some((event) => event === 'output' || event === 'logs') ?? false;
  return !isLive && job.status === 'succeeded' && job.attempt === 1 && ranMs < plainRunMs;
}

/** When the items of jobs go by themselves, so that a plain job's data needs no write to be removed. */
export class DataLife {
  readonly #table: Table;
  readonly #keptSeconds: number;

  /** @param keptSeconds after a job's end; 0 where nothing expires */
  constructor(table: Table, keptSeconds: number) {
    this.#table = table;
    this.#keptSeconds = keptSeconds;
  }

  /** A job as it is created. @param isInline whether its input is in the Table itself */
  begin(job: Job, isInline: boolean): Job {
    const expires = this.#keptSeconds > 0 && isInline && job.source === 'api';
    return expires ? { ...job, dataExpiresAt: null } : job;
  }

  /** A job as it ends. @param isInline whether its result, where it has one, is in the Table itself and names no file */
  end(job: Job, isInline: boolean): Job {
    if (job.dataExpiresAt === undefined) return job;
    const { dataExpiresAt: _, ...kept } = job;
    if (!isInline || !isPlainRun(job) || this.#keptSeconds === 0 || job.completedAt === null) return kept;
    return { ...kept, dataExpiresAt: job.completedAt + this.#keptSeconds * 1000 };
  }

  /** For the input of a job that may still wait for long, epoch seconds; undefined where it does not expire. */
  inputExpiry(job: Job, now: number): number | undefined {
    if (job.dataExpiresAt === undefined) return undefined;
    return Math.ceil(now / 1000) + inputLifeSeconds + this.#keptSeconds;
  }

  /** For the result of a job that has ended, epoch seconds; undefined where it does not expire. */
  resultExpiry({ dataExpiresAt }: Job): number | undefined {
    return typeof dataExpiresAt === 'number' ? Math.ceil(dataExpiresAt / 1000) : undefined;
  }

  /** Keeps the inputs of a pool's jobs that have waited or run for half of the time that inputs are good for. */
  async renewInputs(pool: string, now: number): Promise<void> {
    const createdBefore = now - (inputLifeSeconds / 2) * 1000;
    for (const state of ['queued', 'running'] as const) {
      let cursor: string | undefined;
      do {
        const { items, next } = await this.#table.query(
          { index: 'unfinished', pk: unfinishedPartition(pool, state) },
          { limit: renewalBatch, before: timeKey(createdBefore), cursor },
        );
        const jobs = items.map((item) => fromStored<Job>(item));
        for (const job of jobs) if (job.dataExpiresAt === null) await this.#renewInput(job, now);
        cursor = next;
      } while (cursor !== undefined);
    }
  }

  async #renewInput(job: Job, now: number): Promise<void> {
    const item = await this.#table.get({ pk: jobPartition(job.id), sk: 'INPUT' });
    const nowSeconds = now / 1000;
    if (!item?.expiresAt || item.expiresAt - this.#keptSeconds - nowSeconds > inputLifeSeconds / 2) return;
    const renewed = { ...item, expiresAt: this.inputExpiry(job, now) };
    try {
      await this.#table.write([{ op: 'put', item: renewed, when: { present: true } }]);
    } catch (error) {
      // Its data was removed meanwhile.
      if (!(error instanceof ConflictError)) throw error;
    }
  }
}

/** The same item, kept for good. */
export function lasting({ expiresAt: _, ...item }: Item): Item {
  return item;
}
