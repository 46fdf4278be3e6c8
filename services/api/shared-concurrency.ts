import { hasEnded } from '../core/job.ts';
import type { JobFlow } from '../data/job-flow.ts';
import type { Limits } from '../ports/limits/port.ts';
import { type ConcurrencyLimit, tooMany } from './concurrency.ts';

/** A job this young may not be stored yet. */
const youngMs = 60_000;
/** How often the places of an account that has none left are looked at. */
const lookMs = 1000;
/** Places that one look takes up. */
const batch = 25;

/**
 * How many predictions of each account wait or run, as all processes count them together. A job that ends where nobody
 * counts, as by the sweeper, is found when its account has no place left.
 */
export class SharedConcurrency implements ConcurrencyLimit {
  readonly #most: number;
  readonly #limits: Limits;
  readonly #flow: JobFlow;
  readonly #lookedAt = new Map<string, number>();

  constructor(most: number, limits: Limits, flow: JobFlow) {
    this.#most = most;
    this.#limits = limits;
    this.#flow = flow;
    flow.onEnd(({ account, id }) => void limits.leave(account, id));
  }

  async enter(account: string, job: string): Promise<void> {
    if (await this.#limits.enter(account, job, this.#most)) return;
    await this.#clear(account);
    if (await this.#limits.enter(account, job, this.#most)) return;
    throw tooMany(account, this.#most);
  }

  leave(account: string, job: string): void {
    void this.#leaveUnlessUnfinished(account, job).catch(() => undefined);
  }

  /** Of two requests with one idempotency key one fails, and the other's job has the place. */
  async #leaveUnlessUnfinished(account: string, id: string): Promise<void> {
    const job = await this.#flow.jobs.get(id);
    if (!job || hasEnded(job.status)) await this.#limits.leave(account, id);
  }

  /** Gives back the places of jobs that have ended. */
  async #clear(account: string): Promise<void> {
    const now = performance.now();
    if (now - (this.#lookedAt.get(account) ?? Number.NEGATIVE_INFINITY) < lookMs) return;
    if (this.#lookedAt.size > 10_000) this.#lookedAt.clear();
    this.#lookedAt.set(account, now);
    const places = await this.#limits.oldest(account, youngMs, batch);
    await Promise.all(places.map(async (id) => this.#leaveUnlessUnfinished(account, id)));
  }
}
