import { randomBytes } from 'node:crypto';
import type { LaunchSpec } from '../../core/launch.ts';
import type { Instance, Pool } from '../../core/pool.ts';
import { type ModelProcess, type ProcessExit, startModelProcess } from './model-process.ts';
import type { Fleet } from './port.ts';

/** What a runner needs to know of the instance that it feeds. */
interface StartedInstance {
  readonly id: string;
  readonly pool: Pool;
  /** `http://127.0.0.1:PORT` */
  readonly cogUrl: string;
  /** The end of what the server has written to stdout and stderr. */
  readonly serverLog: () => string;
  /** Whether the system has killed anything for want of memory since the server was started. */
  readonly outOfMemory: () => boolean;
}

/** What a fleet needs of a runner (services/runner/app.ts). */
interface RunnerHandle extends Pick<Instance, 'failure' | 'setupLogs' | 'readyAt' | 'running' | 'idleSince'> {
  readonly phase: 'setup' | 'ready' | 'draining' | 'failed';
  /** Why the server must be replaced though it was ready; null while it need not be. */
  readonly broken: string | null;
  onChange(listener: () => void): () => void;
  cogExited(exit: ProcessExit): void;
  drain(options: { readonly graceMs: number }): Promise<void>;
}

export interface ProcessFleetOptions {
  /** How to start a pool's model as that instance. @throws ProblemError, whose detail is shown */
  launch(pool: Pool, instanceId: string): Promise<LaunchSpec>;
  startRunner(instance: StartedInstance): RunnerHandle;
  /** Most instances in all. */
  readonly capacity: number;
  /** How long a server may take to end before it is killed. @default 5 s */
  readonly killGraceMs?: number;
  /** Epoch ms. */
  readonly now?: () => number;
}

interface ManagedInstance {
  readonly id: string;
  readonly pool: Pool;
  readonly startedAt: number;
  process: ModelProcess | undefined;
  runner: RunnerHandle | undefined;
  failure: Instance['failure'];
  setupLogs: string;
  /** Set once it was told to stop. */
  stopped: Promise<void> | undefined;
  /** Whether anybody has been told that it failed. */
  failureSeen: boolean;
}

/** What runs on an instance that is too many is never cut short: the longest time that a timer holds. */
const patientMs = 2 ** 31 - 1;
const maxPortTries = 5;
/** How long runners may take to report what a server's death has done. */
const crashReportMs = 30_000;

/** A fleet that says which files it needs. */
interface ProcessFleet extends Fleet {
  /** Versions of which an instance is about to be started, or has a process that is still there. */
  versions(): ReadonlySet<string>;
}

/** A fleet of processes on this machine. Nothing of it outlives this process, however that ends. */
export function createProcessFleet(options: ProcessFleetOptions): ProcessFleet {
  return new Processes(options);
}

class Processes implements ProcessFleet {
  readonly capacity: number;
  readonly #options: ProcessFleetOptions;
  readonly #now: () => number;
  readonly #instances = new Map<string, ManagedInstance>();
  /** Those whose process is there, or about to be. */
  readonly #up = new Set<ManagedInstance>();
  /** Ends of instances that are not shown any more. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #listeners = new Set<() => void>();
  #closed = false;
  #telling = false;

  constructor(options: ProcessFleetOptions) {
    this.#options = options;
    this.capacity = options.capacity;
    this.#now = options.now ?? Date.now;
  }

  async apply(pool: Pool, replicas: number): Promise<void> {
    if (this.#closed) return;
    for (const instance of this.#of(pool)) {
      if (!instance.failure || !instance.failureSeen) continue;
      this.#instances.delete(instance.id);
      this.#changed();
    }
    const serving = this.#of(pool).filter((instance) => !instance.failure && !instance.stopped);
    const used = [...this.#instances.values()].filter((instance) => !instance.failure).length;
    const missing = Math.min(replicas - serving.length, this.capacity - used);
    for (let started = 0; started < missing; started++) this.#start(pool);
    const stoppable = serving.filter(({ runner }) => runner?.phase === 'ready').sort(byIdleness);
    for (const instance of stoppable.slice(0, Math.max(0, serving.length - replicas))) {
      void this.#stop(instance, patientMs);
    }
  }

  async observe(): Promise<readonly Instance[]> {
    return [...this.#instances.values()].map((instance) => {
      if (instance.failure) instance.failureSeen = true;
      return snapshot(instance);
    });
  }

  versions(): ReadonlySet<string> {
    return new Set([...this.#up].map(({ pool }) => pool.version));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#instances.values()].map((instance) => this.#stop(instance, graceMs)));
    await Promise.all(this.#leaving);
  }

  #of(pool: Pool): ManagedInstance[] {
    return [...this.#instances.values()].filter((instance) => instance.pool.id === pool.id);
  }

  #start(pool: Pool): void {
    const instance: ManagedInstance = {
      id: `i-${randomBytes(16).toString('hex')}`,
      pool,
      startedAt: this.#now(),
      process: undefined,
      runner: undefined,
      failure: null,
      setupLogs: '',
      stopped: undefined,
      failureSeen: false,
    };
    this.#instances.set(instance.id, instance);
    this.#changed();
    this.#up.add(instance);
    this.#bringUp(instance)
      .catch((error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        this.#fail(instance, { code: 'platform_error', message: message || 'It could not be started.' }, '');
      })
      .finally(() => this.#up.delete(instance));
  }

  async #bringUp(instance: ManagedInstance): Promise<void> {
    const spec = await this.#options.launch(instance.pool, instance.id);
    for (let tries = 1; !instance.stopped; tries++) {
      const process = await startModelProcess(spec, instance.pool.concurrency);
      instance.process = process;
      const runner = this.#options.startRunner({
        id: instance.id,
        pool: instance.pool,
        cogUrl: `http://127.0.0.1:${process.port}`,
        serverLog: process.log,
        outOfMemory: process.outOfMemory,
      });
      instance.runner = runner;
      const ignore = runner.onChange(() => this.#runnerChanged(instance));
      // It may have been told to stop while the port was looked for.
      if (instance.stopped) this.#leave(this.#drainAndKill(instance, 0));
      const exit = await process.exited;
      if (runner.phase === 'setup' && tries < maxPortTries && isPortTaken(process.log())) {
        ignore();
        await runner.drain({ graceMs: 0 });
        continue;
      }
      runner.cogExited(exit);
      return;
    }
  }

  #runnerChanged(instance: ManagedInstance): void {
    const { runner } = instance;
    if (!runner || instance.failure) return;
    if (runner.phase === 'failed' && runner.failure) {
      this.#fail(instance, runner.failure, runner.setupLogs);
    } else if (runner.broken !== null && this.#instances.has(instance.id)) {
      // Gone for everybody else, also where it was draining; its runner still has to tell what became of the jobs.
      this.#instances.delete(instance.id);
      this.#leave(this.#killAndDrain(instance));
    }
    this.#changed();
  }

  #fail(instance: ManagedInstance, failure: NonNullable<Instance['failure']>, setupLogs: string): void {
    if (instance.failure) return;
    instance.failure = failure;
    instance.setupLogs = setupLogs;
    this.#leave(this.#killAndDrain(instance));
    this.#changed();
  }

  #stop(instance: ManagedInstance, graceMs: number): Promise<void> {
    const first = !instance.stopped;
    const stopped = this.#drainAndKill(instance, graceMs);
    if (!first) return stopped;
    instance.stopped = stopped;
    this.#leave(stopped);
    this.#changed();
    return stopped;
  }

  async #drainAndKill(instance: ManagedInstance, graceMs: number): Promise<void> {
    // A model that boots has nothing to finish.
    const patience = instance.runner?.readyAt === null ? 0 : (this.#options.killGraceMs ?? 5000);
    await instance.runner?.drain({ graceMs });
    await instance.process?.stop(patience);
    this.#instances.delete(instance.id);
    this.#changed();
  }

  async #killAndDrain(instance: ManagedInstance): Promise<void> {
    await instance.process?.stop(0);
    await instance.runner?.drain({ graceMs: crashReportMs });
  }

  #leave(end: Promise<void>): void {
    const settled = end
      .catch(() => {})
      .finally(() => {
        this.#leaving.delete(settled);
      });
    this.#leaving.add(settled);
  }

  /** Tells of changes, those of one moment together; a listener may well cause the next. */
  #changed(): void {
    if (this.#telling) return;
    this.#telling = true;
    setImmediate(() => {
      this.#telling = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}

function snapshot(instance: ManagedInstance): Instance {
  const { id, pool, startedAt, runner, failure, setupLogs, stopped } = instance;
  const phase = failure ? 'failed' : stopped ? 'draining' : (runner?.phase ?? 'setup');
  return {
    id,
    pool: pool.id,
    phase,
    startedAt,
    readyAt: runner?.readyAt ?? null,
    running: failure ? 0 : (runner?.running ?? 0),
    idleSince: phase === 'ready' ? (runner?.idleSince ?? null) : null,
    failure,
    setupLogs: failure ? setupLogs : (runner?.setupLogs ?? ''),
  };
}

/** Idle instances first, the longest idle before the others; then those that have the least to end. */
function byIdleness(a: ManagedInstance, b: ManagedInstance): number {
  const [one, other] = [a.runner, b.runner];
  const since = (runner: RunnerHandle | undefined) => runner?.idleSince ?? Number.POSITIVE_INFINITY;
  if (since(one) !== since(other)) return since(one) - since(other);
  return (one?.running ?? 0) - (other?.running ?? 0);
}

/** Whether a server ended because somebody else had taken its port in the meantime. */
function isPortTaken(log: string): boolean {
  return /address already in use|EADDRINUSE|\[Errno (48|98)\]/i.test(log.slice(-4000));
}
