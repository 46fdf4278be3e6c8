import type { Instance, Pool } from '../../core/pool.ts';

/**
 * Runs instances. It is told how many a pool should have and tells what is there; it decides nothing.
 * Stopping an instance means: no new job, what runs is finished or given back, then it goes.
 */
export interface Fleet {
  /** Most instances that this fleet can hold in all; checked here whatever it is asked for. */
  readonly capacity: number;
  /**
   * Starts or stops instances until the pool has `replicas`. Returns at once; progress shows in `observe`.
   * Of too many, idle ones are stopped first, the longest idle before the others; a busy one takes no new job, ends what
   * it runs, however long that takes, and goes then; one that boots is left alone. Failed ones are cleared away. At most
   * `capacity` in all.
   */
  apply(pool: Pool, replicas: number): Promise<void>;
  /** Every instance there is, of every pool. */
  observe(): Promise<readonly Instance[]>;
  /** Calls back whenever something that `observe` tells has changed. Returns a function that stops it. */
  onChange(listener: () => void): () => void;
  /**
   * Pools that it has instances of. Only a fleet whose instances outlive whoever decides about them tells it: the next
   * one has to know of those that nobody asks for any more.
   */
  pools?(): readonly Pool[];
  /**
   * Where instances are this process's own: drains every one, gives jobs back after `graceMs` and leaves nothing running.
   * Where they outlive it (Kubernetes): leaves them as they are, for the next director. Changes nothing from then on.
   */
  close(options: { readonly graceMs: number }): Promise<void>;
}
