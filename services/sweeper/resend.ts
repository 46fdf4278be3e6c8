import type { Job } from '../core/job.ts';
import type { PoolState } from '../core/pool.ts';
import type { JobFlow } from '../data/job-flow.ts';

/** Jobs that are read at a time. */
const batch = 100;
/** Messages that one look at a pool sends; the next look goes on. */
const mostSent = 1000;
/** A waiting job of this age whose pool has idle instances has lost its message. */
const lostMessageMs = 30_000;
/** An instance that was idle for less than this may just be between two jobs. */
const trulyIdleMs = 5000;
/** How long a line that is long, or whose director has said nothing for as long, is left alone once it was sent. */
const againMs = 600_000;

/** How far the line of a pool's waiting jobs was gone through. */
interface Line {
  /** Epoch ms. */
  readonly begunAt: number;
  /** The last job whose message was sent. */
  through: Job | undefined;
  /** Messages since it was begun. */
  sent: number;
  /** Whether all that waited long enough has been sent. */
  isThrough: boolean;
}

/**
 * Sends anew the messages of jobs that wait although an instance has nothing to do. That one idles is what its director
 * said last, and a director that is gone takes nothing back: so no line is sent again each minute for long.
 */
export class Resends {
  readonly #flow: JobFlow;
  readonly #now: () => number;
  /** By pool. */
  readonly #lines = new Map<string, Line>();

  constructor(flow: JobFlow, now: () => number) {
    this.#flow = flow;
    this.#now = now;
  }

  /** @returns whether nothing is left for the next look */
  async look(pool: string, state: PoolState | undefined, isTimeUp: () => boolean): Promise<boolean> {
    const now = this.#now();
    if (!hasIdleInstance(state, now)) {
      this.#lines.delete(pool);
      return true;
    }
    const line = this.#lineOf(pool, state?.at ?? 0);
    const { jobs } = this.#flow;
    const sentBefore = line.sent;
    for await (const waiting of jobs.unfinishedPages(pool, 'queued', batch, line.through)) {
      const old = waiting.filter(({ createdAt }) => createdAt < now - lostMessageMs);
      for (const job of old) await this.#flow.enqueue(job);
      line.through = old.at(-1) ?? line.through;
      line.sent += old.length;
      if (old.length < waiting.length) break;
      line.isThrough = false;
      if (line.sent - sentBefore >= mostSent || isTimeUp()) return false;
    }
    line.isThrough = true;
    return true;
  }

  /** Begins anew at the oldest where the last time is over: what was sent then may have been lost once more. */
  #lineOf(pool: string, reportedAt: number): Line {
    const now = this.#now();
    const known = this.#lines.get(pool);
    const isShort = known !== undefined && known.sent <= batch && now - reportedAt < againMs;
    const isOver = known?.isThrough && (isShort || now - known.begunAt >= againMs || now < known.begunAt);
    if (known && !isOver) return known;
    const line = { begunAt: now, through: undefined, sent: 0, isThrough: false };
    this.#lines.set(pool, line);
    return line;
  }
}

function hasIdleInstance(state: PoolState | undefined, now: number): boolean {
  const instances = state?.instances ?? [];
  return instances.some(({ idleSince }) => idleSince !== null && now - idleSince >= trulyIdleMs);
}
