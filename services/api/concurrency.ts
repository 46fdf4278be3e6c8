import { ProblemError } from '../core/errors.ts';
import type { Job } from '../core/job.ts';
import type { JobFlow } from '../data/job-flow.ts';
import type { Pools } from '../data/pools.ts';

/** Holds each account to a number of predictions that wait or run. */
export interface ConcurrencyLimit {
  /** Takes a place for a job, which is given back by `leave`. @throws ProblemError `concurrency_limited` */
  enter(account: string, job: string): void | Promise<void>;
  leave(account: string, job: string): void;
}

/** Jobs that are looked at together when the count begins. */
const batch = 1000;

/**
 * How many predictions of each account wait or run. Exact where one process makes all changes of jobs, as on one
 * machine; it begins with a look at what is unfinished and follows each creation and each end from then on.
 */
export class Concurrency implements ConcurrencyLimit {
  readonly #limit: number;
  readonly #counts = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Counts what there is and follows what comes. Call it before the first request. */
  async follow(flow: JobFlow, pools: Pools): Promise<void> {
    flow.onEnd((job) => this.leave(job.account));
    for (const { id } of await pools.all()) {
      for (const state of ['queued', 'running'] as const) {
        let last: Job | undefined;
        do {
          const jobs = await flow.jobs.unfinished(id, state, { limit: batch, after: last });
          for (const { account } of jobs) this.#change(account, 1);
          last = jobs.length === batch ? jobs.at(-1) : undefined;
        } while (last);
      }
    }
  }

  /** Takes a place, which is given back by `leave`. @throws ProblemError `concurrency_limited` */
  enter(account: string): void {
    if ((this.#counts.get(account) ?? 0) < this.#limit) {
      this.#change(account, 1);
      return;
    }
    throw tooMany(account, this.#limit);
  }

  leave(account: string): void {
    this.#change(account, -1);
  }

  #change(account: string, by: number): void {
    const count = (this.#counts.get(account) ?? 0) + by;
    if (count > 0) this.#counts.set(account, count);
    else this.#counts.delete(account);
  }
}

export function tooMany(account: string, limit: number): ProblemError {
  return new ProblemError(
    'concurrency_limited',
    `The account ${account} has ${limit} predictions that wait or run, as many as it may. ` +
      'Wait for one to end, or cancel one.',
    { 'retry-after': '1' },
  );
}
