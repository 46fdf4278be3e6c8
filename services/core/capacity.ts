/** What one pool asks of a fleet that it shares with others. */
export interface Claim {
  readonly pool: string;
  /** Instances that it should have, had it the fleet to itself. */
  readonly wanted: number;
  /** Instances that it has: ready and starting. */
  readonly live: number;
  /** Those of them that work or boot. */
  readonly working: number;
  /** Epoch ms; null where no job waits. */
  readonly oldestQueuedAt: number | null;
}

/**
 * Divides a fleet's places between pools: first one place for each pool whose jobs wait, the longest waiting first; then
 * one for each pool that has an instance, those that work first, so that the last warm one is not thrown away for
 * another pool's second; then evenly between the pools whose jobs wait; then between the others. A pool may get fewer
 * than it has: its fleet then stops those that are idle, or become so.
 * @returns instances by pool; in sum at most `capacity`, and for each pool at most `wanted`
 */
export function shareCapacity(claims: readonly Claim[], capacity: number): ReadonlyMap<string, number> {
  const granted = new Map(claims.map(({ pool }) => [pool, 0]));
  let left = Math.max(0, capacity);
  const waiting = claims
    .filter(({ oldestQueuedAt }) => oldestQueuedAt !== null)
    .sort((a, b) => (a.oldestQueuedAt ?? 0) - (b.oldestQueuedAt ?? 0));
  const others = claims
    .filter(({ oldestQueuedAt }) => oldestQueuedAt === null)
    .sort((a, b) => b.working - a.working);
  grant(waiting, 1);
  grant(
    others.filter(({ live }) => live > 0),
    1,
  );
  grant(waiting, Number.POSITIVE_INFINITY);
  grant(others, Number.POSITIVE_INFINITY);
  return granted;

  /** One place at a time to each that has fewest, until each has what it wants or `most`. */
  function grant(to: readonly Claim[], most: number): void {
    for (let level = 1; level <= most && left > 0; level++) {
      const open = to.filter(({ wanted }) => wanted >= level);
      if (open.length === 0) return;
      for (const { pool } of open) {
        if (left === 0) return;
        if ((granted.get(pool) ?? 0) >= level) continue;
        granted.set(pool, level);
        left -= 1;
      }
    }
  }
}
