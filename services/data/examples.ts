import { ConflictError, type Key, type Page, type Table } from '../ports/table/port.ts';
import { exampleKey, jobItem } from './job-items.ts';
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
    const listing = { pk: partition(job.model), sk: `${timeKey(now)}#${job.id}` };
    try {
      await this.#table.write([
        {
          op: 'put',
          item: jobItem({ ...job, example: true }),
          when: { equals: { status: job.status, dataRemoved: false } },
        },
        { op: 'put', item: { ...exampleKey(job), data: toStored({ job: job.id }), keys: { listing } } },
      ]);
      return true;
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
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
