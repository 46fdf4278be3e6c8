import { isDataGone, type Job } from '../core/job.ts';
import { ConflictError, type Key, type Page, type Table, type WriteOp } from '../ports/table/port.ts';
import { lasting } from './data-life.ts';
import { exampleKey, jobItem, jobPartition } from './job-items.ts';
import type { JobRecord, Jobs } from './jobs.ts';
import { timeKey, toStored } from './stored.ts';

/**
 * The predictions that a model's owner shows as examples. An example is its job, whose data is kept: what says so lies
 * beside the model. `model` is always the full `owner/name`.
 */
export class Examples {
  readonly #table: Table;
  readonly #jobs: Jobs;

  constructor(table: Table, jobs: Jobs) {
    this.#table = table;
    this.#jobs = jobs;
  }

  /**
   * Makes a job that has ended an example of its model.
   * @returns false where its data has been removed meanwhile
   */
  async add({ job }: JobRecord, now: number): Promise<boolean> {
    const payloads = await this.#lastingPayloads(job);
    if (!payloads || isDataGone(job, now)) return false;
    const listing = { pk: partition(job.model), sk: `${timeKey(now)}#${job.id}` };
    const { dataExpiresAt, ...kept } = job;
    const asRead = { status: job.status, dataRemoved: false };
    // Also on condition that nobody has settled otherwise when its data goes.
    const equals = dataExpiresAt === undefined ? asRead : { ...asRead, dataExpiresAt };
    try {
      await this.#table.write([
        { op: 'put', item: jobItem({ ...kept, example: true }), when: { equals } },
        { op: 'put', item: { ...exampleKey(job), data: toStored({ job: job.id }), keys: { listing } } },
        ...payloads,
      ]);
      return true;
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
  }

  /**
   * What came in and was put out, to be kept for good where it was to expire.
   * @returns undefined where that has happened
   */
  async #lastingPayloads(job: Job): Promise<readonly WriteOp[] | undefined> {
    const items = await Promise.all(
      ['INPUT', 'RESULT'].map(async (sk) => this.#table.get({ pk: jobPartition(job.id), sk })),
    );
    if (typeof job.dataExpiresAt === 'number' && items.includes(undefined)) return undefined;
    return items.flatMap((item) =>
      item?.expiresAt === undefined ? [] : { op: 'put', item: lasting(item), when: { present: true } },
    );
  }

  /** From now on the data of the job is kept no longer than others'. @returns whether it was an example */
  async remove(model: string, id: string): Promise<boolean> {
    const key: Key = exampleKey({ model, id });
    if (!(await this.#table.get(key))) return false;
    const job = await this.#jobs.get(id);
    try {
      await this.#table.write([
        { op: 'delete', key, when: { present: true } },
        ...(job ? [{ op: 'put' as const, item: jobItem({ ...job, example: false }) }] : []),
      ]);
      return true;
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
  }

  /** Examples of a model, the first that was added first. */
  async list(
    model: string,
    options: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<JobRecord>> {
    const { items, next } = await this.#table.query({ index: 'listing', pk: partition(model) }, options);
    const records = await Promise.all(items.map(async (item) => this.#jobs.record(String(item.data.job))));
    return { items: records.filter((record) => record !== undefined), next };
  }
}

function partition(model: string): string {
  return `EXAMPLES#${model}`;
}
