import type { Job } from '../core/job.ts';
import { type OutputFile, outputFileKey } from '../core/output-files.ts';
import type { Objects } from '../ports/objects/port.ts';
import { ConflictError, type Item, maxWriteOps, type Table, type WriteOp } from '../ports/table/port.ts';
import { exampleKey, jobItem, jobPartition, objectKey, removals } from './job-items.ts';
import { fromStored, timeKey } from './stored.ts';

/** Jobs whose data one write removes: each takes four of its ops. */
export const removalBatch = Math.floor(maxWriteOps / 4);
/** A run that was shorter than this has stored its result once, at its end. */
const plainRunMs = 10_000;
/** Who may have stored a result, of which the last one is named in the Table. */
const resultWriters = ['ended', 'processing', 'cancel', 'canceled', 'unservable'] as const;

/** Removes what jobs that have ended took in and put out; their records stay. */
export class Retention {
  readonly #table: Table;
  readonly #objects: Objects;
  readonly #forget: (id: string) => void;

  /** @param forget drops what this process has at hand of a job */
  constructor(table: Table, objects: Objects, forget: (id: string) => void) {
    this.#table = table;
    this.#objects = objects;
    this.#forget = forget;
  }

  /** Jobs that ended before `endedBefore` and whose data is still there, oldest first. */
  async withData(endedBefore: number, limit: number): Promise<readonly Job[]> {
    const { items } = await this.#table.query(
      { index: 'due', pk: removals },
      { limit, before: timeKey(endedBefore) },
    );
    return items.map((item) => fromStored<Job>(item));
  }

  /**
   * Removes input, output and logs of jobs that have ended, at most `removalBatch`; their records stay. Objects go
   * first: what is cut short is found, and done, again.
   * @returns how many are done; one that has just become an example is left alone
   */
  async removeData(jobs: readonly Job[]): Promise<number> {
    await Promise.all(jobs.map(async (job) => this.#removeObjects(job)));
    for (const { id } of jobs) this.#forget(id);
    try {
      await this.#table.write(jobs.flatMap(removalOps));
      return jobs.length;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      if (jobs.length === 1) return 0;
    }
    let removed = 0;
    for (const job of jobs) removed += await this.removeData([job]);
    return removed;
  }

  async #removeObjects(job: Job): Promise<void> {
    if (await this.#table.get(exampleKey(job))) return;
    const [input, result] = await Promise.all([
      this.#table.get({ pk: jobPartition(job.id), sk: 'INPUT' }),
      this.#table.get({ pk: jobPartition(job.id), sk: 'RESULT' }),
    ]);
    for (const key of objectsOf(job, input, result)) await this.#objects.remove(key);
  }
}

/** Objects that a job may have left behind, also those that no item names any more. */
function objectsOf(job: Job, input: Item | undefined, result: Item | undefined): readonly string[] {
  const named = [input?.data.value, result?.data.output, result?.data.logs].flatMap((stored) => {
    const { object } = (stored ?? {}) as { object?: string };
    return object === undefined ? [] : [object];
  });
  const files = (result?.data.files ?? []) as unknown as readonly OutputFile[];
  named.push(...files.map(({ name }) => outputFileKey(job, name)));
  const ranMs = job.startedAt === null ? 0 : (job.completedAt ?? 0) - job.startedAt;
  // What a webhook hears of while it runs is stored every half second.
  const isLive = job.webhookEvents?.some((event) => event === 'output' || event === 'logs') ?? false;
  const isPlain = !isLive && job.status === 'succeeded' && job.attempt === 1 && ranMs < plainRunMs;
  if (isPlain) return named;
  const places = Array.from({ length: job.attempt + 1 }, (_, attempt) =>
    resultWriters.flatMap((writer) => [`${attempt}-${writer}-output`, `${attempt}-${writer}-logs`]),
  );
  return [...new Set([...named, ...places.flat().map((name) => objectKey(job, name))])];
}

function removalOps(job: Job): WriteOp[] {
  return [
    {
      op: 'put',
      item: jobItem({ ...job, dataRemoved: true }),
      when: { equals: { status: job.status, dataRemoved: false } },
    },
    { op: 'check', key: exampleKey(job), when: { absent: true } },
    { op: 'delete', key: { pk: jobPartition(job.id), sk: 'INPUT' } },
    { op: 'delete', key: { pk: jobPartition(job.id), sk: 'RESULT' } },
  ];
}
