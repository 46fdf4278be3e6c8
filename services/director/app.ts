import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { shareCapacity } from '../core/capacity.ts';
import type { Instance, Pool, PoolState } from '../core/pool.ts';
import { type Decision, desiredReplicas, type ScalingPolicy } from '../core/scaling.ts';
import { emptyMemory, isStarting, type ScalingMemory } from '../core/scaling-memory.ts';
import type { Fleet } from '../ports/fleet/port.ts';
import type { Demand, DirectorProtocol, PoolDemand } from '../ports/fleet-protocol/port.ts';
import { type Pace, paced, pause } from './pace.ts';
import { PoolReports } from './reports.ts';
import type { RunnerReports } from './runner-reports.ts';

/** How long one call waits for demand to change: the poll behind the wake-up. */
const demandWaitSeconds = 5;
/** Shortest time between two looks while much happens; the first after a pause is taken at once. */
const spacingMs = 50;
/** How long after something failed it is tried again, at first and at most. */
const firstRetryMs = 250;
const longestRetryMs = 10_000;
/** A timer holds at most 24 days. */
const longestReviewMs = 3_600_000;
/** How soon a fleet that did not do what it was told, for lack of places, is told the same again. */
const repeatMs = 1000;

export interface DirectorOptions {
  readonly protocol: DirectorProtocol;
  readonly fleet: Fleet;
  /** What is wanted of a pool; asked at each look, so that it may change. */
  readonly policy: (pool: Pool, now: number) => ScalingPolicy;
  /** Given where the fleet goes by what runners on other machines report. */
  readonly reports?: Pick<RunnerReports, 'after' | 'take'>;
  /** Epoch ms, by the clock that the fleet's instances carry. */
  readonly now?: () => number;
  readonly logger?: Pick<pino.Logger, 'info' | 'warn'>;
}

export interface Director {
  /** Decides nothing more, and leaves the fleet as it is. Resolves when nothing is under way. */
  close(): Promise<void>;
}

/** Keeps each pool's number of instances what its jobs ask for, from now until it is closed. */
export function startDirector(options: DirectorOptions): Director {
  return new Loop(options);
}

interface Tracked {
  pool: Pool;
  memory: ScalingMemory;
  /** What the fleet was told last, and what was there then. */
  told: { readonly what: string; readonly at: number };
  /** The answer to `demand` whose waiting jobs were refused last; infinite while they are being refused. */
  refusedLook: number;
  /** Why the fleet did not do what it was told last; empty where it did. */
  trouble: string;
}

interface Plan {
  readonly tracked: Tracked;
  readonly demand: PoolDemand | undefined;
  readonly instances: readonly Instance[];
  readonly live: number;
  readonly decision: Decision;
}

class Loop implements Director {
  /** Of this run: a control plane that knows it tells what it must once. */
  readonly #id: string = randomUUID();
  readonly #protocol: DirectorProtocol;
  readonly #fleet: Fleet;
  readonly #policy: (pool: Pool, now: number) => ScalingPolicy;
  readonly #now: () => number;
  readonly #logger: Pick<pino.Logger, 'info' | 'warn'>;
  readonly #closing = new AbortController();
  readonly #reports: PoolReports;
  readonly #runnerReports: Pick<RunnerReports, 'after' | 'take'> | undefined;
  readonly #looks: Pace;
  readonly #unsubscribe: () => void;
  readonly #listening: Promise<void>;
  readonly #tracked = new Map<string, Tracked>();
  readonly #refusals = new Set<Promise<void>>();
  /** null while it is not known: then nothing is changed. */
  #demand: Demand | null = null;
  /** Counts the answers to `demand`. */
  #look = 0;
  #failures = 0;
  #reviewTimer: NodeJS.Timeout | undefined;

  constructor({
    protocol,
    fleet,
    policy,
    reports,
    now = Date.now,
    logger = pino({ level: 'silent' }),
  }: DirectorOptions) {
    this.#protocol = protocol;
    this.#fleet = fleet;
    this.#policy = policy;
    this.#runnerReports = reports;
    this.#now = now;
    this.#logger = logger;
    this.#reports = new PoolReports(
      async (state) => protocol.reportPool(state),
      (error, pool) => logger.warn({ error: String(error), pool }, 'a pool could not be reported'),
    );
    this.#looks = paced(async () => this.#evaluate(), spacingMs);
    this.#unsubscribe = fleet.onChange(() => this.#looks.request());
    this.#listening = this.#listen();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#unsubscribe();
    await Promise.all([this.#looks.close(), this.#listening]);
    clearTimeout(this.#reviewTimer);
    await Promise.all([this.#reports.close(), ...this.#refusals]);
  }

  async #listen(): Promise<void> {
    const { signal } = this.#closing;
    let failures = 0;
    while (!signal.aborted) {
      let pauseMs = spacingMs;
      try {
        // What is not known is asked for at once: after a start, and after a failure.
        const waitSeconds = this.#demand === null ? 0 : demandWaitSeconds;
        const reportsAfter = this.#runnerReports?.after;
        const request = { waitSeconds, reportsAfter, director: this.#id };
        const demand = await this.#protocol.demand(request, signal);
        if (signal.aborted) return;
        failures = 0;
        this.#runnerReports?.take(demand.reports ?? []);
        this.#demand = demand;
        this.#look += 1;
        // The pause below bounds these looks, so a pool's first job never waits for another pool's bustle.
        this.#looks.request({ atOnce: true });
      } catch (error) {
        if (signal.aborted) return;
        this.#demand = null;
        pauseMs = retryMs(failures);
        failures += 1;
        this.#logger.warn(
          { error: String(error), failures },
          'demand is not known; the fleet is left as it is',
        );
      }
      await pause(pauseMs, signal);
    }
  }

  async #evaluate(): Promise<void> {
    const demand = this.#demand;
    if (demand === null) return;
    try {
      const plans = this.#decide(demand, await this.#fleet.observe());
      if (this.#closing.signal.aborted) return;
      const shares = this.#share(plans);
      const errors = await this.#apply(plans, shares);
      for (const plan of plans) {
        this.#report(plan, shares.get(plan.tracked.pool.id) ?? 0);
        this.#refuseWaiting(plan);
      }
      if (errors.length > 0) throw new AggregateError(errors, errors.map(String).join('; '));
      this.#failures = 0;
      this.#reviewAt(plans.flatMap(({ decision }) => decision.reviewAt ?? []));
    } catch (error) {
      this.#failures += 1;
      this.#logger.warn(
        { error: String(error) },
        'the fleet could not be looked at or changed; trying again',
      );
      this.#reviewAt([this.#now() + retryMs(this.#failures - 1)]);
    }
  }

  #decide({ pools }: Demand, observed: readonly Instance[]): Plan[] {
    const now = this.#now();
    const demands = new Map(pools.map((demand) => [demand.pool.id, demand]));
    const instancesByPool = Map.groupBy(observed, ({ pool }) => pool);
    for (const [id, demand] of demands) {
      const { pool } = demand;
      const known = this.#tracked.get(id);
      if (known) known.pool = pool;
      else this.#track(pool, memoryOf(demand));
    }
    // A director that was here before has left some that nobody asks for now.
    for (const pool of this.#fleet.pools?.() ?? []) if (!this.#tracked.has(pool.id)) this.#track(pool);
    return [...this.#tracked.values()].flatMap((tracked) => {
      const { pool, memory } = tracked;
      const demand = demands.get(pool.id);
      const instances = instancesByPool.get(pool.id) ?? [];
      if (!demand && instances.length === 0 && memory.booting.length === 0) {
        this.#tracked.delete(pool.id);
        this.#reports.forget(pool.id);
        return [];
      }
      const sample = {
        now,
        queued: demand?.queued ?? 0,
        running: demand?.running ?? 0,
        runSeconds: demand?.runSeconds ?? [],
        instances,
        concurrency: pool.concurrency,
        remainingBudgetMicroUsd: null,
      };
      // What is not told of any more keeps no minimum.
      const wanted = demand ? pool : withoutScaling(pool);
      const decision = desiredReplicas(sample, this.#policy(wanted, now), memory);
      tracked.memory = decision.memory;
      return [{ tracked, demand, instances, live: instances.filter(isLive).length, decision }];
    });
  }

  #track(pool: Pool, memory: ScalingMemory = emptyMemory): void {
    this.#tracked.set(pool.id, { pool, memory, told: { what: '', at: 0 }, refusedLook: 0, trouble: '' });
  }

  #share(plans: readonly Plan[]): ReadonlyMap<string, number> {
    const claims = plans.map(({ tracked, demand, instances, live, decision }) => ({
      pool: tracked.pool.id,
      wanted: decision.replicas ?? live,
      live,
      working: instances.filter((instance) => isStarting(instance) || instance.running > 0).length,
      oldestQueuedAt: demand?.oldestQueuedAt ?? null,
    }));
    return shareCapacity(claims, this.#fleet.capacity);
  }

  /** Makes room before it takes it. One pool's trouble does not hold up the others: it returns all errors. */
  async #apply(plans: readonly Plan[], shares: ReadonlyMap<string, number>): Promise<unknown[]> {
    const errors: unknown[] = [];
    const total = plans.reduce((sum, { instances }) => sum + instances.length, 0);
    const changes = plans.flatMap(({ tracked, instances, live }) => {
      const replicas = shares.get(tracked.pool.id) ?? 0;
      if (replicas === live && !instances.some(({ phase }) => phase === 'failed')) return [];
      const there = instances.map(({ id, phase, running }) => [id, phase, running === 0]);
      const what = JSON.stringify([replicas, total, there]);
      if (what === tracked.told.what && this.#now() < tracked.told.at + repeatMs) return [];
      return [{ tracked, replicas, grows: replicas > live, what }];
    });
    for (const grows of [false, true]) {
      const group = changes.filter((change) => change.grows === grows);
      await Promise.all(
        group.map(async ({ tracked, replicas, what }) => {
          try {
            await this.#fleet.apply(withoutScaling(tracked.pool), replicas);
            tracked.told = { what, at: this.#now() };
            tracked.trouble = '';
          } catch (error) {
            tracked.trouble = error instanceof Error ? error.message : String(error);
            errors.push(error);
          }
        }),
      );
    }
    return errors;
  }

  #report({ tracked, instances, live, decision }: Plan, share: number): void {
    const { pool, memory, trouble } = tracked;
    const { until, last } = memory.breaker;
    const cut = decision.replicas !== null && share < decision.replicas;
    const open = until !== null && last !== null && until > this.#now();
    const shared = cut ? ` (${share} of them: the fleet's places are shared)` : '';
    const refused = share > live && trouble !== '' ? `. They cannot be started: ${trouble}` : '';
    const state: PoolState = {
      pool: pool.id,
      at: this.#now(),
      desired: share,
      reason: `${decision.reason}${shared}${refused}`,
      instances: [...instances],
      breaker: open ? { until, message: last.message, setupLogs: last.setupLogs } : null,
      setupSeconds: [...memory.setupSeconds],
      boots: [...memory.boots],
      phaseSince: Object.fromEntries(memory.booting.map(({ id, since }) => [id, since])),
    };
    this.#reports.update(state, decision.action);
  }

  /** Jobs of a pool that cannot be set up are told so, with the setup's log, instead of hanging. */
  #refuseWaiting({ tracked, demand, live }: Plan): void {
    const { pool, memory } = tracked;
    const { until, last, failures } = memory.breaker;
    const hopeless = until !== null && until > this.#now() && live === 0;
    if (!hopeless || last === null || !demand?.queued || tracked.refusedLook >= this.#look) return;
    tracked.refusedLook = Number.POSITIVE_INFINITY;
    const next = new Date(until).toISOString();
    const message = `${last.message} (${failures} failed starts in a row; the next is not tried before ${next}.)`;
    const refusal = this.#protocol
      .refuse({ pool: pool.id, failure: { code: last.code, message }, logs: last.setupLogs })
      .then(() => {
        tracked.refusedLook = this.#look;
        this.#logger.info({ pool: pool.id, failures }, 'waiting jobs were refused: setup fails');
      })
      .catch((error: unknown) => {
        tracked.refusedLook = 0;
        this.#logger.warn({ error: String(error), pool: pool.id }, 'waiting jobs could not be refused');
      })
      .finally(() => this.#refusals.delete(refusal));
    this.#refusals.add(refusal);
  }

  #reviewAt(moments: readonly number[]): void {
    clearTimeout(this.#reviewTimer);
    if (moments.length === 0 || this.#closing.signal.aborted) return;
    const waitMs = Math.max(0, Math.min(...moments, this.#now() + longestReviewMs) - this.#now());
    this.#reviewTimer = setTimeout(() => this.#looks.request(), waitMs);
  }
}

/** What the director before this one knew of how long starts take. */
function memoryOf({ history }: PoolDemand): ScalingMemory {
  if (!history) return emptyMemory;
  return { ...emptyMemory, setupSeconds: history.setupSeconds, boots: history.boots ?? [] };
}

/** The pool as fleets know it: how many instances it has is not their concern. */
function withoutScaling({ scaling: _scaling, ...pool }: Pool): Pool {
  return pool;
}

function isLive(instance: Instance): boolean {
  return instance.phase === 'ready' || isStarting(instance);
}

/** Doubles with each failure in a row, less up to half by chance, so that directors do not come back together. */
function retryMs(failuresBefore: number): number {
  const most = Math.min(firstRetryMs * 2 ** failuresBefore, longestRetryMs);
  return most * (1 - Math.random() / 2);
}
