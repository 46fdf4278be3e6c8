import type { PoolState } from '../core/pool.ts';
import { remember } from '../core/remembered.ts';
import type { InstanceRecords } from '../data/instance-records.ts';
import type { InstanceReports } from '../data/instance-reports.ts';
import type { JobFlow } from '../data/job-flow.ts';
import type { Pools } from '../data/pools.ts';
import { demandTopic, scalingTopic } from '../data/progress.ts';
import type { Channel } from '../ports/channel/port.ts';
import type { Demand, DemandRequest, PoolDemand, RefuseRequest } from '../ports/fleet-protocol/port.ts';
import { longPoll } from './long-poll.ts';
import type { ScaledPools } from './scaled-pools.ts';

/** Jobs of a pool that are counted before it is simply "many": more would ask for no more instances. */
const countLimit = 1000;
/** Jobs that one refusal ends at a time. */
const refuseBatch = 100;
/** How old what is known of a pool's recent runs may be: it is of the last fifty. */
const runSecondsFreshMs = 5000;
const rememberedPools = 1000;
const rememberedDirectors = 10;

/** What directors are told of the pools, and what they say of them. */
export class Demands {
  readonly #flow: JobFlow;
  readonly #pools: Pools;
  readonly #reports: InstanceReports;
  readonly #records: InstanceRecords;
  readonly #scaled: ScaledPools;
  readonly #channel: Channel;
  readonly #now: () => number;
  readonly #spacingMs: number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #demandChanged = true;
  #demandWaiters = new Set<() => void>();
  /** Pools whose history a director has been told, by the director. */
  readonly #told = new Map<string, ReadonlySet<string>>();
  readonly #runSeconds = new Map<string, { readonly seconds: readonly number[]; readonly readAt: number }>();

  constructor(parts: {
    readonly flow: JobFlow;
    readonly pools: Pools;
    readonly reports: InstanceReports;
    readonly records: InstanceRecords;
    readonly scaled: ScaledPools;
    readonly channel: Channel;
    readonly now: () => number;
    /** Least time between two looks: each reads a dozen times for each pool. @default 0 */
    readonly demandSpacingMs?: number;
  }) {
    this.#flow = parts.flow;
    this.#pools = parts.pools;
    this.#reports = parts.reports;
    this.#records = parts.records;
    this.#scaled = parts.scaled;
    this.#channel = parts.channel;
    this.#now = parts.now;
    this.#spacingMs = parts.demandSpacingMs ?? 0;
  }

  /** Listens for wake-ups; call once before the first director asks. */
  async start(): Promise<void> {
    await this.#channel.subscribe(demandTopic, () => this.#wake());
    await this.#channel.subscribe(scalingTopic, () => {
      this.#scaled.forget();
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#demandChanged) return;
    this.#demandChanged = true;
    for (const wake of this.#demandWaiters) wake();
  }

  /** What the pools want, once that may have changed. */
  async next({ waitSeconds, reportsAfter, director }: DemandRequest, signal?: AbortSignal): Promise<Demand> {
    if (!this.#demandChanged) await this.#demandChange(waitSeconds, signal);
    const spacingMs = this.#lookedAt + this.#spacingMs - performance.now();
    if (spacingMs > 0) await longPoll(spacingMs / 1000, signal).ended;
    this.#lookedAt = performance.now();
    this.#demandChanged = false;
    const [active, reports] = await Promise.all([
      this.#pools.active(this.#now()),
      reportsAfter === undefined ? undefined : this.#reports.since(reportsAfter),
    ]);
    const { pools, added } = await this.#scaled.complete(active);
    // So that they are shown, swept and told of like those that have jobs.
    await Promise.all(added.map(async (pool) => this.#pools.touch(pool, this.#now())));
    // One that waits for nothing has just begun, or has not had the last answer.
    const told = (waitSeconds > 0 && director && this.#told.get(director)) || new Set();
    const demand = await Promise.all(
      pools.map(async (pool) => this.#demandOf(pool, director !== undefined && !told.has(pool.id))),
    );
    if (director) remember(this.#told, director, new Set(pools.map(({ id }) => id)), rememberedDirectors);
    return { pools: demand, reports: reports && [...reports] };
  }

  async #demandChange(waitSeconds: number, signal?: AbortSignal): Promise<void> {
    const poll = longPoll(waitSeconds, signal);
    this.#demandWaiters.add(poll.end);
    await poll.ended;
    this.#demandWaiters.delete(poll.end);
  }

  async #demandOf(pool: PoolDemand['pool'], tellsHistory: boolean): Promise<PoolDemand> {
    const [queued, running, history] = await Promise.all([
      this.#flow.jobs.count(pool.id, 'queued', countLimit),
      this.#flow.jobs.count(pool.id, 'running', countLimit),
      tellsHistory ? this.#pools.state(pool.id).then(historyIn) : undefined,
    ]);
    // Most pools have nothing to do at most times, and each read has its price.
    if (queued + running === 0)
      return { pool, queued, running, oldestQueuedAt: null, runSeconds: [], history };
    const [oldest, runSeconds] = await Promise.all([
      queued > 0 ? this.#flow.jobs.unfinished(pool.id, 'queued', { limit: 1 }) : [],
      this.#runSecondsOf(pool.id),
    ]);
    return {
      pool,
      queued,
      running,
      oldestQueuedAt: oldest[0]?.createdAt ?? null,
      runSeconds: [...runSeconds],
      history,
    };
  }

  async #runSecondsOf(pool: string): Promise<readonly number[]> {
    const known = this.#runSeconds.get(pool);
    if (known && this.#now() - known.readAt < runSecondsFreshMs) return known.seconds;
    const seconds = await this.#pools.runSeconds(pool);
    remember(this.#runSeconds, pool, { seconds, readAt: this.#now() }, rememberedPools);
    return seconds;
  }

  /** Keeps what the director says of a pool. */
  async reportPool(state: PoolState): Promise<void> {
    const [pool, before] = await Promise.all([this.#pools.get(state.pool), this.#pools.state(state.pool)]);
    // First what is kept: where this fails, the next look at the pool says it again.
    if (pool) await this.#records.follow(pool, before, state);
    await this.#pools.putState(state);
  }

  /** Ends what waits for a pool that cannot serve it. */
  async refuse(request: RefuseRequest): Promise<void> {
    for await (const waiting of this.#flow.jobs.unfinishedPages(request.pool, 'queued', refuseBatch)) {
      for (const job of waiting) {
        const result = { output: null, logs: request.logs, metrics: {}, attempt: job.attempt };
        await this.#flow.apply(
          job.id,
          { type: 'unservable', at: this.#now(), failure: request.failure },
          result,
        );
      }
    }
  }
}

function historyIn(state: PoolState | undefined): PoolDemand['history'] {
  if (!state || state.setupSeconds.length === 0) return undefined;
  return { setupSeconds: state.setupSeconds, boots: state.boots };
}
