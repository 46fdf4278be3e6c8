import type { Instance } from '../core/pool.ts';

/** A pool as a scaler may see it. */
export interface PoolView {
  /** ms from the start. */
  readonly now: number;
  readonly queued: number;
  readonly running: number;
  /** Ready or starting. */
  readonly live: number;
  readonly ready: number;
  readonly concurrency: number;
  readonly instances: readonly Instance[];
  /** Seconds that recent jobs ran, newest last. */
  readonly runSeconds: readonly number[];
  /** Jobs, queued and running, summed over the time until now: job-milliseconds. */
  readonly demandMs: number;
}

/** What a scaler wants of a pool. */
export interface Wish {
  readonly replicas: number;
  /** When the answer may change by the passing of time alone; null where it does not. */
  readonly reviewAt: number | null;
}

/** Decides for one pool, and remembers what it needs. */
export interface PoolScaler {
  look(view: PoolView): Wish;
  /** Told of each change, also of those for which no look is taken. */
  note?(view: PoolView): void;
  /**
   * Whether a look could change anything since the last one; looks that could not are spared. Absent: always.
   * @param phasesChanged whether an instance has come, gone or changed its phase since
   */
  isWorthALook?(view: PoolView, phasesChanged: boolean): boolean;
  /** When a look is due since an instance has become idle; absent where looks go by a clock. */
  reviewAt?(now: number): number;
  /** Seconds that recent setups took, by which waits are reckoned; absent where the scaler knows none. */
  readonly setupSeconds?: readonly number[];
}

/** A way to decide how many instances a pool has. */
export interface Scaler {
  readonly name: string;
  /** Its settings, in words. */
  readonly about: string;
  /**
   * `changes`: looks when something has changed, at most once in `spacingMs`, and divides a fleet that is too small for
   * all by core/capacity.ts. `ticks`: by a clock, and who comes first has the places.
   */
  readonly pace:
    | { readonly by: 'changes'; readonly spacingMs: number }
    | {
        readonly by: 'ticks';
        readonly everyMs: number;
        /** Whether a job that finds no instance has it look at once. */
        readonly atOnceFromZero: boolean;
      };
  /** Whether too many instances are taken from those that boot first, as a ReplicaSet does. */
  readonly stopsBooting: boolean;
  /** Instances that are ready when time begins. */
  initial(pool: number): number;
  open(pool: number): PoolScaler;
}
