import type { RateLimit, RateVerdict } from '../../core/rate-limit.ts';

/** Seconds after which a place that nobody gave back is free. */
export const placeSeconds = 7 * 24 * 3600;

/**
 * Limits that all processes of a platform hold together. They protect others from one who asks for much, and cost
 * nobody an answer: where they cannot be told, everything is let through.
 */
export interface Limits {
  /** Takes one request out of a bucket where there is one. */
  takeRequest(bucket: string, limit: RateLimit): Promise<RateVerdict>;
  /** Takes a place in a group that has `most`; whoever has it already keeps it. @returns whether there was one */
  enter(group: string, place: string, most: number): Promise<boolean>;
  /** Gives a place back; no error where it is not taken. */
  leave(group: string, place: string): Promise<void>;
  /** The places of a group that were taken `ageMs` ago or earlier, oldest first, at most `limit`. */
  oldest(group: string, ageMs: number, limit: number): Promise<readonly string[]>;
  close(): Promise<void>;
}
