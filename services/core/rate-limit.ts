/** A token bucket: it holds `perMinute` requests and fills evenly. */
export interface RateLimit {
  readonly perMinute: number;
}

/** What is left in a bucket, at a time (epoch ms). A new one is full. */
export interface Bucket {
  readonly left: number;
  readonly at: number;
}

/** Whether one more request is let through, and what to tell whoever sent it. */
export interface RateVerdict {
  readonly allowed: boolean;
  readonly bucket: Bucket;
  /** Whole requests that are left. */
  readonly remaining: number;
  /** Until the bucket is full again, rounded up. */
  readonly resetSeconds: number;
  /** Until one more request is let through, rounded up; 0 where that is now. */
  readonly retrySeconds: number;
}

/** Takes one request out of a bucket where there is one. Pure; a clock that was set back adds and takes nothing. */
export function takeRequest({ perMinute }: RateLimit, bucket: Bucket | undefined, now: number): RateVerdict {
  const perMs = perMinute / 60_000;
  const before = bucket ?? { left: perMinute, at: now };
  const at = Math.max(before.at, now);
  const filled = Math.min(perMinute, before.left + (at - before.at) * perMs);
  const allowed = filled >= 1;
  return verdictOf({ perMinute }, { left: allowed ? filled - 1 : filled, at }, allowed);
}

/** What to tell of a bucket after one more request was asked for. */
export function verdictOf({ perMinute }: RateLimit, bucket: Bucket, allowed: boolean): RateVerdict {
  const perMs = perMinute / 60_000;
  const { left } = bucket;
  return {
    allowed,
    bucket,
    remaining: Math.floor(left),
    resetSeconds: Math.ceil((perMinute - left) / perMs / 1000),
    retrySeconds: left >= 1 ? 0 : Math.max(1, Math.ceil((1 - left) / perMs / 1000)),
  };
}
