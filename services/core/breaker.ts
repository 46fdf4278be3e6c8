import type { Instance } from './pool.ts';

/** Setups that may fail one after the other before a pool's breaker opens. */
export const failuresToOpen = 3;
/** How long a breaker stays open the first time; it doubles with each failed try. */
export const firstCooldownMs = 30_000;
/** Longest time between two tries. */
export const longestCooldownMs = 600_000;

/** Why an instance did not become ready, and what its setup had printed. */
export type SetupFailure = NonNullable<Instance['failure']> & { readonly setupLogs: string };

/**
 * Keeps a pool whose setup fails from starting instances for ever. Closed: `until` is null. Open: nothing is started
 * before `until` (epoch ms). Half-open: `until` has passed, and one instance is tried.
 */
export interface Breaker {
  /** Setups that failed since the last one that succeeded. */
  readonly failures: number;
  /** Times that it opened since a setup last succeeded. */
  readonly openings: number;
  readonly until: number | null;
  readonly last: SetupFailure | null;
}

export const closedBreaker: Breaker = { failures: 0, openings: 0, until: null, last: null };

/** The breaker after some setups ended: one that succeeded closes it, since the model can be set up. */
export function afterSetups(
  breaker: Breaker,
  ended: { readonly succeeded: number; readonly failed: readonly SetupFailure[] },
  now: number,
): Breaker {
  if (ended.succeeded > 0) return closedBreaker;
  const last = ended.failed.at(-1);
  if (last === undefined) return breaker;
  const counted = { ...breaker, failures: breaker.failures + ended.failed.length, last };
  // Others of the batch that opened it fail a little later: they tell nothing new.
  const stillOpen = breaker.until !== null && now < breaker.until;
  if (stillOpen || (breaker.until === null && counted.failures < failuresToOpen)) return counted;
  const openings = breaker.openings + 1;
  return { ...counted, openings, until: now + cooldownMs(openings) };
}

/** Milliseconds for which a breaker stays open when it opens for the nth time. */
export function cooldownMs(openings: number): number {
  return Math.min(firstCooldownMs * 2 ** (openings - 1), longestCooldownMs);
}

/** How many more instances may be started while `starting` boot. */
export function mayStart(breaker: Breaker, starting: number, now: number): number {
  if (breaker.until !== null) return now < breaker.until ? 0 : Math.max(0, 1 - starting);
  // After a failure, no more tries than would open it: a broken model does not take the whole fleet.
  if (breaker.failures > 0) return Math.max(0, failuresToOpen - breaker.failures - starting);
  return Number.POSITIVE_INFINITY;
}
