import { hasEnded } from '../core/job.ts';
import type { JobFlow } from '../data/job-flow.ts';
import type { Limits } from '../ports/limits/port.ts';
import { type ConcurrencyLimit, tooMany } from './concurrency.ts';

/** A job this young may not be stored yet. */
const youngMs = 60_000;
/** How often the places of an account that has none left are looked at. */
const lookMs = 1000;
/** Places that are taken up together, and how often that is done in one look while it finds none to give back. */
const batch = 25;
const batchesOfALook = 4;

/**
 * How many predictions of each account wait or run, as all processes count them together. A job that ends where nobody
 * counts, as by the sweeper, is found when its account has no place left.
 */
export class SharedConcurrency implements ConcurrencyLimit {
  readonly #most: number;
  readonly #limits: Limits;
  readonly #flow: JobFlow;
  /** When an account's places were looked at, and how many of the oldest have been gone through since the first. */
  readonly #looks = new Map<string, { readonly at: number; through: number }>();

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

  /**
   * Of two requests with one idempotency key one fails, and the other's job has the place.
   * @returns whether the place was given back
   */
  async #leaveUnlessUnfinished(account: string, id: string): Promise<boolean> {
    const job = await this.#flow.jobs.get(id);
    const hasLeft = !job || hasEnded(job.status);
    if (hasLeft) await this.#limits.leave(account, id);
    return hasLeft;
  }

  /** Gives back the places of jobs that have ended; goes on behind those that it found unfinished the last time. */
  async #clear(account: string): Promise<void> {
    const now = performance.now();
    const last = this.#looks.get(account);
    if (last && now - last.at < lookMs) return;
    if (this.#looks.size > 10_000) this.#looks.clear();
    const look = { at: now, through: last?.through ?? 0 };
    this.#looks.set(account, look);
    for (let batches = 0; batches < batchesOfALook; batches += 1) {
      const from = look.through;
      const places = (await this.#limits.oldest(account, youngMs, from + batch)).slice(from);
      const left = await Promise.all(places.map(async (id) => this.#leaveUnlessUnfinished(account, id)));
      const free = left.filter((hasLeft) => hasLeft).length;
      look.through = places.length < batch ? 0 : from + batch - free;
      if (free > 0 || (from === 0 && look.through === 0)) return;
    }
  }
}
