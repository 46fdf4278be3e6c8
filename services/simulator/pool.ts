import type { Instance } from '../core/pool.ts';
import { Ring } from './events.ts';
import type { Machine } from './machines.ts';
import type { PoolScaler, PoolView } from './scaler.ts';

/** Run times that are remembered of a pool, as metering does. */
const rememberedRuns = 50;
/** How old the run times may be that a scaler is told, as the api's are. */
const runSecondsFreshMs = 5000;

/** An instance, where it lies, and what it has done. */
export interface Held {
  readonly index: number;
  readonly pool: SimulatedPool;
  /** What scalers see of it. */
  readonly instance: Instance;
  /** null while it waits for a machine. */
  machine: Machine | null;
  /** Whether it ends what it runs and takes nothing new. */
  draining: boolean;
  gone: boolean;
  busySince: number;
  busyMs: number;
}

/** One pool's queue and instances. It is what its scaler sees. */
export class SimulatedPool implements PoolView {
  readonly index: number;
  readonly scaler: PoolScaler;
  readonly concurrency: number;
  readonly held: Held[] = [];
  readonly instances: Instance[] = [];
  /** One entry for each job that a ready instance could take, the longest free first. */
  readonly free = new Ring();
  /** First and last of the jobs that wait; -1 where none does. The others are linked by `Simulation`. */
  head = -1;
  tail = -1;
  queued = 0;
  running = 0;
  live = 0;
  ready = 0;
  now = 0;
  wanted = 0;
  phasesChanged = true;
  /** Whether it is among those that are looked at next. */
  dirty = false;
  ticking = false;
  /** When it is looked at for the passing of time; Infinity where that is not under way. */
  reviewAt = Number.POSITIVE_INFINITY;
  demandMs = 0;
  readonly #runs = new Float64Array(rememberedRuns);
  #runCount = 0;
  #told: readonly number[] = [];
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(index: number, scaler: PoolScaler, concurrency: number) {
    this.index = index;
    this.scaler = scaler;
    this.concurrency = concurrency;
  }

  get runSeconds(): readonly number[] {
    if (this.now - this.#toldAt >= runSecondsFreshMs || this.#told.length === 0) {
      const count = Math.min(this.#runCount, rememberedRuns);
      const first = this.#runCount - count;
      this.#told = Array.from({ length: count }, (_, at) => this.#runs[(first + at) % rememberedRuns] ?? 0);
      this.#toldAt = this.now;
    }
    return this.#told;
  }

  /** Whether an instance could be stopped without ending a run. */
  get hasIdle(): boolean {
    return this.free.size > 0;
  }

  /** Brings what hangs on time up to now; to be called before anything changes. */
  advance(now: number): void {
    this.demandMs += (this.queued + this.running) * (now - this.now);
    this.now = now;
  }

  remember(runMs: number): void {
    this.#runs[this.#runCount % rememberedRuns] = runMs / 1000;
    this.#runCount += 1;
  }
}
