import { setTimeout as pause } from 'node:timers/promises';
import {
  heartbeatSeconds,
  type JobRef,
  maxPollSeconds,
  type RunnerProtocol,
  type StopList,
} from '../ports/fleet-protocol/port.ts';
import { backoffMs, type Delivery } from './delivery.ts';

/** A job whose lease is kept. */
export interface KeptJob {
  readonly job: JobRef;
  readonly delivery: Pick<Delivery, 'renew' | 'isExpired'>;
}

export interface LeaseKeeperOptions<T extends KeptJob> {
  readonly protocol: Pick<RunnerProtocol, 'heartbeat' | 'watch'>;
  readonly instanceId: string;
  /** The jobs that are held now. */
  readonly held: ReadonlySet<T>;
  /** Called for a job that was canceled, or that is not ours any more. */
  onStop(job: T): void;
  /** Called when the whole instance is told to end. Where it is given, orders are listened for all the time. */
  readonly onDrain?: ((order: NonNullable<StopList['drain']>) => void) | undefined;
}

/** How long a job runs before anybody looks whether it was canceled; most have ended by then. */
const watchAfterMs = 100;
/** Stops that are kept for jobs whose assignments have not arrived yet. */
const earlyStops = 100;
/** How soon a heartbeat that failed is tried again: the lease outlasts several. */
const retryMs = 2000;

/**
 * Renews leases and hears of cancels, while there are jobs and at no cost while they are quick; and hears of orders to
 * drain, where they are wanted.
 */
export class LeaseKeeper<T extends KeptJob> {
  readonly #options: LeaseKeeperOptions<T>;
  readonly #over = new AbortController();
  /** Stops that were told before their jobs, the newest last; most are of jobs that have ended. */
  readonly #early: JobRef[] = [];
  #watching = false;
  #watchTimer: NodeJS.Timeout | undefined;
  #heartbeatTimer: NodeJS.Timeout | undefined;

  constructor(options: LeaseKeeperOptions<T>) {
    this.#options = options;
    if (options.onDrain) void this.#watch();
  }

  /** A job was leased and is held now. */
  begin({ job: { id, attempt } }: T): void {
    const early = this.#early.find((stop) => stop.id === id && stop.attempt === attempt);
    if (early) this.#stop({ stop: [early] });
    this.#heartbeatTimer ??= setTimeout(() => void this.#heartbeat(), heartbeatSeconds * 1000);
    this.#watchTimer ??= setTimeout(() => {
      this.#watchTimer = undefined;
      void this.#watch();
    }, watchAfterMs);
  }

  close(): void {
    this.#over.abort();
    clearTimeout(this.#heartbeatTimer);
    clearTimeout(this.#watchTimer);
  }

  async #heartbeat(): Promise<void> {
    clearTimeout(this.#heartbeatTimer);
    this.#heartbeatTimer = undefined;
    const { protocol, instanceId, held, onStop } = this.#options;
    const kept = [...held];
    if (kept.length === 0 || this.#over.signal.aborted) return;
    let againMs = heartbeatSeconds * 1000;
    try {
      const jobs = kept.map(({ job: { id, attempt } }) => ({ id, attempt }));
      const list = await protocol.heartbeat({ instance: instanceId, jobs });
      for (const { delivery } of kept) delivery.renew();
      this.#stop(list);
    } catch {
      againMs = retryMs;
      for (const job of kept) if (job.delivery.isExpired && held.has(job)) onStop(job);
    }
    if (this.#over.signal.aborted) return;
    clearTimeout(this.#heartbeatTimer);
    this.#heartbeatTimer = setTimeout(() => void this.#heartbeat(), againMs);
  }

  async #watch(): Promise<void> {
    const { protocol, instanceId, held, onDrain } = this.#options;
    const { signal } = this.#over;
    const isWanted = () => held.size > 0 || onDrain !== undefined;
    if (this.#watching || !isWanted()) return;
    this.#watching = true;
    // What was canceled before anybody listened is told by a heartbeat.
    void this.#heartbeat();
    const request = { instance: instanceId, waitSeconds: maxPollSeconds };
    for (let tries = 0; isWanted() && !signal.aborted; ) {
      try {
        const orders = await protocol.watch(request, signal);
        this.#stop(orders);
        if (orders.drain && !signal.aborted) onDrain?.(orders.drain);
        tries = 0;
      } catch {
        await pause(backoffMs(tries++), undefined, { signal }).catch(() => {});
      }
    }
    this.#watching = false;
  }

  #stop({ stop }: StopList): void {
    for (const ref of stop) {
      const job = [...this.#options.held].find(({ job }) => job.id === ref.id && job.attempt === ref.attempt);
      if (job) this.#options.onStop(job);
      else this.#early.push(ref);
    }
    this.#early.splice(0, this.#early.length - earlyStops);
  }
}
