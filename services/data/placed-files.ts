import { hasEnded, type Job } from '../core/job.ts';
import { type OutputFile, outputFileKey } from '../core/output-files.ts';
import type { Objects } from '../ports/objects/port.ts';
import { type Item, type Key, maxWriteOps, type Table, type WriteOp } from '../ports/table/port.ts';
import { jobKey, jobPartition } from './job-items.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

/** Longer than the URL of a place is good for, and what was begun with it may take. */
const settledAfterMs = 3_600_000;
/** The last words of a job that was canceled, which may name files, come after its end. */
const lastWordsMs = 15 * 60_000;
/** Places that one call of `settle` takes up. */
const settleBatch = maxWriteOps;
/** Where places wait, in the index of what is due. */
const duePartition = 'JOBFILES';

/** A place for a file that a job puts out. */
interface Place {
  readonly job: string;
  readonly name: string;
  /** The file's key in Objects. */
  readonly object: string;
}

/**
 * Places that runners were given for files. A place is on record before a byte can be stored there, and until it is
 * settled whether the job's result names the file, which is then kept for as long as the result, or nothing does.
 */
export class PlacedFiles {
  readonly #table: Table;
  readonly #objects: Objects;

  constructor(table: Table, objects: Objects) {
    this.#table = table;
    this.#objects = objects;
  }

  /** Puts a place on record; only then may its URL be given away. @param now epoch ms */
  async note(job: Pick<Job, 'id' | 'account'>, name: string, now: number): Promise<void> {
    const place = { job: job.id, name, object: outputFileKey(job, name) };
    await this.#table.write([{ op: 'put', item: placeItem(place, now + settledAfterMs) }]);
  }

  /**
   * Takes up the places that are due, at most `settleBatch`: of a job that has ended, what its result names is left to
   * the result, and the rest is removed. Objects go first: what is cut short is found, and done, again.
   * @param now epoch ms
   * @param cursor where the call before this one ended
   * @returns where this one ended; undefined where there is nothing behind it
   */
  async settle(now: number, cursor?: string): Promise<string | undefined> {
    const { items, next } = await this.#table.query(
      { index: 'due', pk: duePartition },
      { limit: settleBatch, before: timeKey(now + 1), cursor },
    );
    const jobs = new Map<string, Promise<JobState>>();
    const stateOf = (id: string) => {
      const known = jobs.get(id) ?? this.#stateOf(id, now);
      jobs.set(id, known);
      return known;
    };
    const ops: WriteOp[] = [];
    for (const place of items.map((item) => fromStored<Place>(item))) {
      const state = await stateOf(place.job);
      if ('openUntil' in state) {
        ops.push({ op: 'put', item: placeItem(place, state.openUntil) });
        continue;
      }
      const isKept = state.named.has(place.name);
      const isGone = isKept || (await this.#objects.remove(place.object).then(isDone, isNotDone));
      // What cannot be removed now must not stand in the way of the rest.
      if (isGone) ops.push({ op: 'delete', key: placeKey(place) });
      else ops.push({ op: 'put', item: placeItem(place, now + settledAfterMs) });
    }
    if (ops.length > 0) await this.#table.write(ops);
    return next;
  }

  async #stateOf(id: string, now: number): Promise<JobState> {
    const row = await this.#table.get(jobKey(id));
    if (!row) return { named: new Set() };
    const { status, completedAt } = fromStored<Job>(row);
    if (!hasEnded(status)) return { openUntil: now + settledAfterMs };
    const saidBy = (completedAt ?? 0) + lastWordsMs;
    if (saidBy > now) return { openUntil: saidBy };
    const result = await this.#table.get({ pk: jobPartition(id), sk: 'RESULT' });
    const files = (result?.data.files ?? []) as unknown as readonly OutputFile[];
    return { named: new Set(files.map(({ name }) => name)) };
  }
}

/** What of a job's files is known: when to look again, or which of them its result names. */
type JobState = { readonly openUntil: number } | { readonly named: ReadonlySet<string> };

function placeKey({ job, name }: Place): Key {
  return { pk: `JOBFILES#${job}`, sk: name };
}

function placeItem(place: Place, dueAt: number): Item {
  const due = { pk: duePartition, sk: `${timeKey(dueAt)}#${place.job}#${place.name}` };
  return { ...placeKey(place), data: toStored({ ...place }), keys: { due } };
}

const isDone = () => true;
const isNotDone = () => false;
