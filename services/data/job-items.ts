import { hasEnded, type Job } from '../core/job.ts';
import type { Item, Key, Value } from '../ports/table/port.ts';
import { timeKey, toStored } from './stored.ts';

/** Where jobs that have ended wait, in the index of what is due. */
export const removals = 'REMOVALS';

/** The key in Objects of a value of a job that is too large for the Table. */
export function objectKey(job: Job, name: string): string {
  return `${job.account}/jobs/${job.id}/${name}.json`;
}

/** Keys of the objects that hold stored values which are too large for the Table. */
export function objectsNamed(stored: readonly (Value | undefined)[]): readonly string[] {
  return stored.flatMap((value) => {
    const { object } = (value ?? {}) as { object?: string };
    return object === undefined ? [] : [object];
  });
}

/** Where all items of a job are. */
export function jobPartition(id: string): string {
  return `JOB#${id}`;
}

/** The row of a job. */
export function jobKey(id: string): Key {
  return { pk: jobPartition(id), sk: 'JOB' };
}

/** What makes a job an example of its model. */
export function exampleKey({ model, id }: Pick<Job, 'model' | 'id'>): Key {
  return { pk: `MODEL#${model}`, sk: `EXAMPLE#${id}` };
}

/** A runner's last sign of life for a job. */
export function heartbeatKey(id: string): Key {
  return { pk: jobPartition(id), sk: 'HEARTBEAT' };
}

/** Where predictions of an account are, in the index of lists. */
export function listingPartition(account: string): string {
  return `PREDICTIONS#${account}`;
}

/** Where jobs of a pool that wait or run are, in the index of those. */
export function unfinishedPartition(pool: string, state: 'queued' | 'running'): string {
  return `${state}#${pool}`;
}

/** The place of a job by its age. */
export function ageKey(job: Job): string {
  return `${timeKey(job.createdAt)}#${job.id}`;
}

function deadlineKey(job: Job): Key | undefined {
  if (job.deadlineAt === null) return undefined;
  return { pk: 'DEADLINES', sk: `${timeKey(job.deadlineAt)}#${job.id}` };
}

/** Where a job that has ended waits for its data to be removed: by the time of its end, whatever is configured. */
export function removalKey(job: Job): Key | undefined {
  if (job.completedAt === null || job.source !== 'api' || job.dataRemoved || job.example) return undefined;
  // What expires needs nobody who looks for it.
  if (typeof job.dataExpiresAt === 'number') return undefined;
  return { pk: removals, sk: `${timeKey(job.completedAt)}#${job.id}` };
}

/** The row of a job, with the keys that its state puts it under. */
export function jobItem(job: Job): Item {
  const ended = hasEnded(job.status);
  const state = job.status === 'starting' ? 'queued' : 'running';
  return {
    ...jobKey(job.id),
    data: toStored(job),
    keys: {
      listing: { pk: listingPartition(job.account), sk: ageKey(job) },
      unfinished: ended ? undefined : { pk: unfinishedPartition(job.pool, state), sk: ageKey(job) },
      due: ended ? removalKey(job) : deadlineKey(job),
    },
  };
}

/** What came in, or was put out, beside the row of a job. @param expiresAt epoch seconds; undefined to keep it */
export function payloadItem(
  job: Pick<Job, 'id'>,
  sk: 'INPUT' | 'RESULT',
  data: { readonly [name: string]: Value },
  expiresAt?: number,
): Item {
  const item = { pk: jobPartition(job.id), sk, data: toStored(data) };
  return expiresAt === undefined ? item : { ...item, expiresAt };
}
