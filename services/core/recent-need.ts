/** How many instances a pool needed, and when it last did. */
interface Need {
  readonly instances: number;
  /** By the clock of the samples, ms. */
  readonly lastAt: number;
}

/**
 * Most instances that were needed within a time that moves on. Which instance is idle for how long hangs on who takes the
 * next job: where they take turns, none is ever idle for long, however many there are. This does not.
 */
export interface RecentNeed {
  /** Since when it is watched; null where it was never. */
  readonly since: number | null;
  /** Falling: what was needed last is the last. What was needed before and is not more is left out. */
  readonly needs: readonly Need[];
}

export const unknownNeed: RecentNeed = { since: null, needs: [] };

/**
 * What is known once `instances` are needed from `now` on. What was needed last was so until now.
 * @param windowMs what was needed longer ago is forgotten
 */
export function noteNeed(recent: RecentNeed, instances: number, now: number, windowMs: number): RecentNeed {
  const last = recent.needs.at(-1);
  if (last === undefined) return { since: recent.since ?? now, needs: [{ instances, lastAt: now }] };
  const needs: Need[] = [];
  for (const need of recent.needs) {
    const lastAt = need === last ? now : need.lastAt;
    if (need.instances > instances && lastAt + windowMs > now) needs.push({ ...need, lastAt });
  }
  needs.push({ instances, lastAt: now });
  return { since: recent.since, needs };
}

/** Most that were needed within the window; null while it has not been watched for as long. */
export function mostNeeded({ since, needs }: RecentNeed, now: number, windowMs: number): number | null {
  if (since === null || now < since + windowMs) return null;
  return needs[0]?.instances ?? null;
}

/** When `mostNeeded` may change by the passing of time alone. */
export function needReviewAt({ since, needs }: RecentNeed, now: number, windowMs: number): number {
  const firstKnownAt = since === null ? now : since + windowMs;
  return Math.max(firstKnownAt, (needs[0]?.lastAt ?? now) + windowMs);
}
