import type { Job } from '../core/job.ts';
import { type OutputFile, outputFileKey } from '../core/output-files.ts';
import { rememberTime } from '../core/remembered.ts';
import type { Objects } from '../ports/objects/port.ts';
import {
  ConflictError,
  type Item,
  maxWriteOps,
  type Page,
  type Table,
  type WriteOp,
} from '../ports/table/port.ts';
import { isPlainRun } from './data-life.ts';
import {
  exampleKey,
  jobItem,
  jobPartition,
  objectKey,
  objectsNamed,
  removalKey,
  removals,
} from './job-items.ts';
import { fromStored, timeKey } from './stored.ts';

/** Jobs whose data one write removes: each takes four of its ops. */
export const removalBatch = Math.floor(maxWriteOps / 4);
/** For how long a job whose objects could not be removed keeps out of the way of others. */
const stuckMs = 600_000;
/** Who may have stored a result, of which the last one is named in the Table. */
const resultWriters = ['ended', 'processing', 'cancel', 'canceled', 'unservable'] as const;

/** Removes what jobs that have ended took in and put out; their records stay. */
export class Retention {
  readonly #table: Table;
  readonly #objects: Objects;
  readonly #forget: (id: string) => void;
  /** When the objects of a job could not be removed. */
  readonly #stuck = new Map<string, number>();

  /** @param forget drops what this process has at hand of a job */
  constructor(table: Table, objects: Objects, forget: (id: string) => void) {
    this.#table = table;
    this.#objects = objects;
    this.#forget = forget;
  }

  /** Jobs that ended before `endedBefore` and whose data is still there, oldest first, but for those that are stuck. */
  async withData(
    endedBefore: number,
    options: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<Job>> {
    const partition = { index: 'due', pk: removals } as const;
    const page = await this.#table.query(partition, { ...options, before: timeKey(endedBefore) });
    const jobs = page.items.map((item) => fromStored<Job>(item));
    return { items: jobs.filter(({ id }) => !this.#isStuck(id)), next: page.next };
  }

  /**
   * Removes input, output and logs of jobs that have ended, at most `removalBatch`; their records stay. Where objects
   * belong to it, its row says first that the data is gone, so that nobody makes an example of half of it; then the
   * objects go, and the items that name them last. What is cut short is found, and done, again.
   * @returns how many are done; one that has just become an example is left alone
   * @throws AggregateError once the others are done, where objects could not be removed
   */
  async removeData(jobs: readonly Job[]): Promise<number> {
    const found = await Promise.all(jobs.map(async (job) => ({ job, ...(await this.#objectsOf(job)) })));
    const isHolder = ({ job, named }: (typeof found)[number]) => named.length > 0 && !job.dataRemoved;
    const marked = new Set(
      await this.#write(
        found.filter(isHolder).map(({ job }) => job),
        markOps,
      ),
    );
    const going = found.filter((each) => !isHolder(each) || marked.has(each.job));
    const failures: unknown[] = [];
    const gone = await Promise.all(
      going.map(async ({ job, named, possible }) => {
        try {
          for (const key of new Set([...named, ...possible])) await this.#objects.remove(key);
          return [marked.has(job) ? { ...job, dataRemoved: true } : job];
        } catch (error) {
          failures.push(error);
          rememberTime(this.#stuck, job.id, performance.now(), stuckMs);
          return [];
        }
      }),
    );
    const done = (await this.#write(gone.flat(), removalOps)).length;
    if (failures.length > 0)
      throw new AggregateError(failures, `Objects of ${failures.length} jobs could not be removed`);
    return done;
  }

  #isStuck(id: string): boolean {
    return performance.now() - (this.#stuck.get(id) ?? Number.NEGATIVE_INFINITY) < stuckMs;
  }

  /** One write for all, or one for each where some of them have changed. @returns those that it was done for */
  async #write(jobs: readonly Job[], opsOf: (job: Job) => WriteOp[]): Promise<readonly Job[]> {
    if (jobs.length === 0) return [];
    for (const { id } of jobs) this.#forget(id);
    try {
      await this.#table.write(jobs.flatMap(opsOf));
      return jobs;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      if (jobs.length === 1) return [];
    }
    const done: Job[] = [];
    for (const job of jobs) done.push(...(await this.#write([job], opsOf)));
    return done;
  }

  async #objectsOf(job: Job): Promise<JobObjects> {
    const [input, result] = await Promise.all([
      this.#table.get({ pk: jobPartition(job.id), sk: 'INPUT' }),
      this.#table.get({ pk: jobPartition(job.id), sk: 'RESULT' }),
    ]);
    return objectsOf(job, input, result);
  }
}

/** Keys of the objects of a job. */
interface JobObjects {
  /** What its input and result are made of. */
  readonly named: readonly string[];
  /** What may be left of attempts, and of results that others took the place of. */
  readonly possible: readonly string[];
}

function objectsOf(job: Job, input: Item | undefined, result: Item | undefined): JobObjects {
  const files = (result?.data.files ?? []) as unknown as readonly OutputFile[];
  const named = [
    ...objectsNamed([input?.data.value, result?.data.output, result?.data.logs]),
    ...files.map(({ name }) => outputFileKey(job, name)),
  ];
  if (isPlainRun(job)) return { named, possible: [] };
  const places = Array.from({ length: job.attempt + 1 }, (_, attempt) =>
    resultWriters.flatMap((writer) => [`${attempt}-${writer}-output`, `${attempt}-${writer}-logs`]),
  );
  return { named, possible: places.flat().map((name) => objectKey(job, name)) };
}

/** Its row says that the data is gone, and keeps its place among those whose data is to go. */
function markOps(job: Job): WriteOp[] {
  const { keys, ...row } = jobItem({ ...job, dataRemoved: true });
  return [
    {
      op: 'put',
      item: { ...row, keys: { ...keys, due: removalKey(job) } },
      when: { equals: { status: job.status, dataRemoved: false } },
    },
    { op: 'check', key: exampleKey(job), when: { absent: true } },
  ];
}

function removalOps(job: Job): WriteOp[] {
  return [
    {
      op: 'put',
      item: jobItem({ ...job, dataRemoved: true }),
      when: { equals: { status: job.status, dataRemoved: job.dataRemoved } },
    },
    { op: 'check', key: exampleKey(job), when: { absent: true } },
    { op: 'delete', key: { pk: jobPartition(job.id), sk: 'INPUT' } },
    { op: 'delete', key: { pk: jobPartition(job.id), sk: 'RESULT' } },
  ];
}
