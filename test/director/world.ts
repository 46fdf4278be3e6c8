import type { Instance, Pool, PoolState } from '../../services/core/pool.ts';
import { pause } from '../../services/director/pace.ts';
import type { Fleet } from '../../services/ports/fleet/port.ts';
import type {
  Demand,
  DemandRequest,
  DirectorProtocol,
  PoolDemand,
  RefuseRequest,
} from '../../services/ports/fleet-protocol/port.ts';

export function aPool(model: string, concurrency = 1): Pool {
  return {
    id: `acme/${model}:1@cpu`,
    account: 'acme',
    model: `acme/${model}`,
    version: '1',
    hardware: 'cpu',
    concurrency,
    streams: false,
  };
}

type Mutable<T> = { -readonly [name in keyof T]: T[name] };

interface Line {
  pool: Pool;
  /** When each waiting job came, epoch ms. */
  queue: number[];
  readonly runSeconds: number[];
  activeAt: number;
}

/**
 * A control plane and a fleet in memory that keep to their ports: jobs wait, instances boot, lease, work and idle, by
 * the timers of the test.
 */
export class World implements DirectorProtocol, Fleet {
  readonly capacity: number;
  setupMs = 500;
  runMs = 1000;
  refuseMs = 0;
  /** How long a pool without jobs is still told of. */
  activeMs = Number.POSITIVE_INFINITY;
  /** What the control plane knows of starts before, of each pool. */
  history: PoolDemand['history'];
  /** Whether setups fail. */
  broken = false;
  /** Thrown by `demand`, `observe` or `apply` while set. */
  demandError: Error | undefined;
  observeError: Error | undefined;
  applyError: Error | undefined;
  readonly reports: { at: number; state: PoolState }[] = [];
  readonly refusals: (RefuseRequest & { at: number; jobs: number })[] = [];
  readonly applied: { at: number; pool: string; replicas: number }[] = [];
  observed = 0;
  demanded = 0;
  done = 0;
  readonly #lines = new Map<string, Line>();
  #instances: Mutable<Instance>[] = [];
  readonly #listeners = new Set<() => void>();
  #ring: (() => void) | undefined;
  #changed = false;
  readonly #timers = new Set<NodeJS.Timeout>();
  #made = 0;

  constructor(capacity = 4) {
    this.capacity = capacity;
  }

  /** Has a pool in the demand, though it has no jobs, or as its owner wants it now. */
  tellOf(pool: Pool): void {
    const line = this.#line(pool);
    line.pool = pool;
    this.wake();
  }

  /** Has a pool in the demand no more. */
  forget(pool: Pool): void {
    this.#lines.delete(pool.id);
    this.wake();
  }

  /** Puts jobs into a pool's queue. */
  submit(pool: Pool, jobs = 1): void {
    const line = this.#line(pool);
    line.queue.push(...Array.from({ length: jobs }, () => Date.now()));
    this.#lease(line);
    this.wake();
  }

  /** Tells the director that demand may have changed. */
  wake(): void {
    this.#changed = true;
    this.#ring?.();
  }

  instancesOf(pool: Pool): readonly Instance[] {
    return this.#instances.filter((one) => one.pool === pool.id);
  }

  async demand({ waitSeconds }: DemandRequest, signal?: AbortSignal): Promise<Demand> {
    this.demanded += 1;
    if (this.demandError) throw this.demandError;
    if (!this.#changed && !signal?.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, waitSeconds * 1000);
      this.#ring = resolve;
      signal?.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      this.#ring = undefined;
      clearTimeout(timer);
      if (this.demandError) throw this.demandError;
    }
    this.#changed = false;
    const active = [...this.#lines.values()].filter(({ activeAt }) => Date.now() - activeAt < this.activeMs);
    return {
      pools: active.map(({ pool, queue, runSeconds }) => ({
        pool,
        queued: queue.length,
        running: this.instancesOf(pool).reduce((sum, { running }) => sum + running, 0),
        oldestQueuedAt: queue[0] ?? null,
        runSeconds: runSeconds.slice(-20),
        history: this.history,
      })),
    };
  }

  async reportPool(state: PoolState): Promise<void> {
    this.reports.push({ at: Date.now(), state });
  }

  /** Its fleet needs no order to pass on. */
  async drain(): Promise<void> {}

  async refuse(request: RefuseRequest): Promise<void> {
    const line = this.#lines.get(request.pool);
    this.refusals.push({ ...request, at: Date.now(), jobs: line?.queue.length ?? 0 });
    await pause(this.refuseMs, new AbortController().signal);
    if (line) line.queue = [];
    this.wake();
  }

  async apply(pool: Pool, replicas: number): Promise<void> {
    this.applied.push({ at: Date.now(), pool: pool.id, replicas });
    if (this.applyError) throw this.applyError;
    this.#instances = this.#instances.filter((one) => one.pool !== pool.id || one.phase !== 'failed');
    const mine = this.instancesOf(pool);
    const idle = mine
      .filter(({ idleSince }) => idleSince !== null)
      .sort((a, b) => (a.idleSince ?? 0) - (b.idleSince ?? 0))
      .slice(0, Math.max(0, mine.length - replicas));
    this.#instances = this.#instances.filter((one) => !idle.includes(one));
    for (let count = mine.length; count < replicas && this.#instances.length < this.capacity; count++) {
      this.#boot(pool);
    }
    this.tell();
  }

  async observe(): Promise<readonly Instance[]> {
    this.observed += 1;
    if (this.observeError) throw this.observeError;
    return this.#instances.map((one) => ({ ...one }));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#instances = [];
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #after(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  #line(pool: Pool): Line {
    const known = this.#lines.get(pool.id) ?? { pool, queue: [], runSeconds: [], activeAt: 0 };
    known.activeAt = Date.now();
    this.#lines.set(pool.id, known);
    return known;
  }

  #boot(pool: Pool): void {
    this.#made += 1;
    const instance: Mutable<Instance> = {
      id: `instance-${this.#made}`,
      pool: pool.id,
      phase: 'setup',
      startedAt: Date.now(),
      readyAt: null,
      running: 0,
      idleSince: null,
      failure: null,
      setupLogs: '',
    };
    this.#instances.push(instance);
    this.#after(this.setupMs, () => {
      if (this.broken) {
        instance.phase = 'failed';
        instance.failure = { code: 'setup_failed', message: 'No module named torch.' };
        instance.setupLogs = 'Traceback: No module named torch\n';
      } else {
        instance.phase = 'ready';
        instance.readyAt = Date.now();
        instance.idleSince = Date.now();
        this.#lease(this.#line(pool));
      }
      this.tell();
    });
  }

  #lease(line: Line): void {
    for (const instance of this.#instances) {
      if (instance.pool !== line.pool.id || instance.phase !== 'ready') continue;
      while (instance.running < line.pool.concurrency && line.queue.shift() !== undefined) {
        instance.running += 1;
        instance.idleSince = null;
        this.tell();
        this.#after(this.runMs, () => this.#end(line, instance));
      }
    }
  }

  #end(line: Line, instance: Mutable<Instance>): void {
    instance.running -= 1;
    if (instance.running === 0) instance.idleSince = Date.now();
    line.runSeconds.push(this.runMs / 1000);
    this.done += 1;
    this.#lease(line);
    this.tell();
    this.wake();
  }

  /** Tells the director that the fleet may have changed. */
  tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
