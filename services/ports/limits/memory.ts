import { type Bucket, takeRequest } from '../../core/rate-limit.ts';
import { remember } from '../../core/remembered.ts';
import type { Limits } from './port.ts';

/** Buckets that are remembered; the one that was full longest is forgotten first. */
const rememberedBuckets = 20_000;

/** Limits of one process. @param now epoch ms */
export function createMemoryLimits(now: () => number = Date.now): Limits {
  const buckets = new Map<string, Bucket>();
  const groups = new Map<string, Map<string, number>>();
  return {
    async takeRequest(bucket, limit) {
      const verdict = takeRequest(limit, buckets.get(bucket), now());
      remember(buckets, bucket, verdict.bucket, rememberedBuckets);
      return verdict;
    },
    async enter(group, place, most) {
      const places = groups.get(group) ?? new Map<string, number>();
      if (!places.has(place) && places.size >= most) return false;
      if (!places.has(place)) places.set(place, now());
      groups.set(group, places);
      return true;
    },
    async leave(group, place) {
      const places = groups.get(group);
      places?.delete(place);
      if (places?.size === 0) groups.delete(group);
    },
    async oldest(group, ageMs, limit) {
      const before = now() - ageMs;
      const taken = [...(groups.get(group) ?? [])].filter(([, at]) => at <= before);
      return taken.slice(0, limit).map(([place]) => place);
    },
    async close() {},
  };
}
