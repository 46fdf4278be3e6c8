import { ProblemError } from '../core/errors.ts';
import type { RateLimit } from '../core/rate-limit.ts';
import { forgetBeyond } from '../core/remembered.ts';
import type { Limits } from '../ports/limits/port.ts';

/** Counts that are remembered; the oldest is forgotten first. */
const rememberedCounts = 10_000;
/** While a count is full it is counted anew this often. */
const recountMs = 1000;

/** What one account and one pool may ask for; 0 or undefined is no limit. */
export interface ApiLimits {
  /** Predictions that a token may create a minute. */
  readonly predictionsPerMinute?: number;
  /** Requests of any other kind that a token may send a minute. */
  readonly requestsPerMinute?: number;
  /** Predictions of an account that wait or run at a time. */
  readonly concurrentPerAccount?: number;
  /** Predictions that wait for one pool. */
  readonly queuedPerPool?: number;
}

/** Holds each token to its rates. */
export class RateLimiter {
  readonly #predictions: RateLimit | undefined;
  readonly #requests: RateLimit | undefined;
  readonly #limits: Limits | undefined;

  /** @param limits where requests are counted; without, none is limited */
  constructor({ predictionsPerMinute, requestsPerMinute }: ApiLimits, limits: Limits | undefined) {
    this.#predictions = predictionsPerMinute ? { perMinute: predictionsPerMinute } : undefined;
    this.#requests = requestsPerMinute ? { perMinute: requestsPerMinute } : undefined;
    this.#limits = limits;
  }

  /** Whether there is any limit at all. */
  get isOn(): boolean {
    return this.#limits !== undefined && (this.#predictions ?? this.#requests) !== undefined;
  }

  /**
   * Counts a request of a token.
   * @param isPrediction whether it creates a prediction
   * @returns headers for its answer
   * @throws ProblemError `rate_limited`, with the same headers and `Retry-After`
   */
  async admit(token: string, isPrediction: boolean): Promise<Readonly<Record<string, string>>> {
    const limit = isPrediction ? this.#predictions : this.#requests;
    if (!limit || !this.#limits) return {};
    const key = `${isPrediction ? 'predictions' : 'requests'} ${token}`;
    const verdict = await this.#limits.takeRequest(key, limit);
    const headers = {
      'ratelimit-limit': String(limit.perMinute),
      'ratelimit-remaining': String(verdict.remaining),
      'ratelimit-reset': String(verdict.resetSeconds),
    };
    if (verdict.allowed) return headers;
    const what = isPrediction ? 'predictions' : 'requests';
    throw new ProblemError(
      'rate_limited',
      `This token may send ${limit.perMinute} ${what} a minute. Try again in ${verdict.retrySeconds} s; ` +
        `the limit resets in ${verdict.resetSeconds} s.`,
      { ...headers, 'retry-after': String(verdict.retrySeconds) },
    );
  }
}

/**
 * Keeps a count below a limit without counting each time: what was counted last and everything that was let in since
 * is at least what there is, so it is counted anew only when that reaches the limit, and then at most once a second.
 * One process lets in no more than `limit`, and may refuse for up to a second after there is room. Several that share
 * a store do not see each other's until they count.
 */
export class CappedCount {
  readonly #limit: number;
  readonly #count: (key: string) => Promise<number>;
  readonly #now: () => number;
  readonly #known = new Map<string, { most: number; readonly countedAt: number }>();

  /** @param count how many there are of a key now, counted up to `limit` */
  constructor(limit: number, count: (key: string) => Promise<number>, now: () => number) {
    this.#limit = limit;
    this.#count = count;
    this.#now = now;
  }

  /** Lets one more in. @returns whether there was room */
  async admit(key: string): Promise<boolean> {
    const known = this.#known.get(key);
    if (known && known.most < this.#limit) {
      known.most += 1;
      return true;
    }
    const now = this.#now();
    if (known && now - known.countedAt < recountMs && now >= known.countedAt) return false;
    // Others that ask meanwhile are refused by what was known, or count too; none is let in twice.
    if (known) this.#known.set(key, { most: this.#limit, countedAt: now });
    const counted = await this.#count(key);
    const raced = this.#known.get(key);
    const grown = known === undefined && raced ? raced.most : 0;
    const most = Math.max(counted, grown);
    const fresh = { most: Math.min(this.#limit, most + 1), countedAt: now };
    this.#known.set(key, fresh);
    forgetBeyond(this.#known, rememberedCounts);
    return most < this.#limit;
  }
}
