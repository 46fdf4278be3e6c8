import { ProblemError } from '../../services/core/errors.ts';
import { newJobId } from '../../services/core/ids.ts';
import type {
  Assignment,
  FilePlace,
  HeartbeatRequest,
  InstanceReport,
  JobRef,
  LeaseRequest,
  Report,
  RunnerEvent,
  RunnerProtocol,
  StopList,
} from '../../services/ports/fleet-protocol/port.ts';

type EndedEvent = Extract<RunnerEvent, { type: 'ended' }>;

/** A job as the tests see it. */
export interface SubmittedJob {
  readonly id: string;
  /** Every event in order. */
  readonly events: RunnerEvent[];
  /** How many events each report had. */
  readonly reports: number[];
  readonly ended: Promise<EndedEvent>;
  /** How often it was leased. */
  readonly leases: () => number;
  /** What the `output` events said so far. */
  readonly shown: () => unknown[];
  readonly liveLogs: () => string;
}

interface KnownJob extends SubmittedJob {
  readonly assignment: Omit<Assignment, 'attempt'>;
  attempt: number;
  canceled: boolean;
  finish(event: EndedEvent): void;
}

/** A control plane of one process that keeps what it is told. */
export class MemoryProtocol implements RunnerProtocol {
  readonly #jobs = new Map<string, KnownJob>();
  readonly #queue: KnownJob[] = [];
  readonly #wakers = new Set<() => void>();
  readonly givenBack: JobRef[] = [];
  /** While set, every call fails with it. */
  outage: Error | undefined;
  /** While set, reports wait for it. */
  slowReports: Promise<void> | undefined;

  submit(input: Assignment['input'], traceparent: string | null = null): SubmittedJob {
    const id = newJobId(Date.now());
    const end = Promise.withResolvers<EndedEvent>();
    const job: KnownJob = {
      id,
      events: [],
      reports: [],
      ended: end.promise,
      leases: () => job.attempt,
      shown: () => job.events.flatMap((event) => (event.type === 'output' ? [event.chunk] : [])),
      liveLogs: () => job.events.map((event) => (event.type === 'logs' ? event.text : '')).join(''),
      assignment: { id, kind: 'prediction', version: 'v', input, traceparent },
      attempt: 0,
      canceled: false,
      finish: end.resolve,
    };
    this.#jobs.set(id, job);
    this.#enqueue(job);
    return job;
  }

  cancel(id: string): void {
    this.#job(id).canceled = true;
    this.#wake();
  }

  /** The lease of a job is lost, as if its runner had been silent for too long. */
  expire(id: string): void {
    this.#job(id).attempt++;
  }

  async lease(request: LeaseRequest, signal?: AbortSignal): Promise<Assignment | null> {
    return this.#poll(request, signal, null, () => {
      const job = this.#queue.shift();
      if (!job) return undefined;
      job.attempt++;
      return { ...job.assignment, attempt: job.attempt };
    });
  }

  async watch(request: LeaseRequest, signal?: AbortSignal): Promise<StopList> {
    return this.#poll(request, signal, { stop: [] }, () => {
      const stop = [...this.#jobs.values()].filter((job) => job.canceled);
      for (const job of stop) job.canceled = false;
      const drain = this.#drainOrder;
      this.#drainOrder = undefined;
      if (stop.length === 0 && !drain) return undefined;
      return { stop: stop.map(({ id, attempt }) => ({ id, attempt })), ...(drain ? { drain } : {}) };
    });
  }

  async heartbeat({ jobs }: HeartbeatRequest): Promise<StopList> {
    this.#check();
    return {
      stop: jobs.filter(({ id, attempt }) => this.#job(id).canceled || this.#job(id).attempt !== attempt),
    };
  }

  async report({ id, attempt, events }: Report): Promise<void> {
    this.#check();
    await this.slowReports;
    const job = this.#job(id);
    if (job.attempt !== attempt) throw new ProblemError('stale_attempt', 'The lease has moved on.');
    job.reports.push(events.length);
    for (const event of events) {
      job.events.push(event);
      if (event.type === 'ended') job.finish(event);
    }
  }

  /** Where files go; without one, as in a control plane that places none. */
  place: (() => FilePlace) | undefined;

  async placeFile(): Promise<FilePlace> {
    if (!this.place) throw new ProblemError('not_found', 'There is no such call.');
    return this.place();
  }

  /** What the runner has said of its instance. */
  readonly instanceReports: InstanceReport[] = [];
  /** Told by the next `watch`. */
  #drainOrder: StopList['drain'];

  /** Tells the instance to end. */
  order(drain: NonNullable<StopList['drain']>): void {
    this.#drainOrder = drain;
    this.#wake();
  }

  async reportInstance(report: InstanceReport): Promise<void> {
    this.#check();
    this.instanceReports.push(report);
  }

  async giveBack(ref: JobRef): Promise<void> {
    this.#check();
    this.givenBack.push(ref);
    this.#enqueue(this.#job(ref.id));
  }

  async #poll<T>(
    request: LeaseRequest,
    signal: AbortSignal | undefined,
    nothing: T,
    take: () => T | undefined,
  ) {
    const until = Date.now() + request.waitSeconds * 1000;
    for (;;) {
      this.#check();
      if (signal?.aborted) return nothing;
      const found = take();
      if (found !== undefined) return found;
      const left = until - Date.now();
      if (left <= 0) return nothing;
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#wakers.delete(done);
          signal?.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, left);
        this.#wakers.add(done);
        signal?.addEventListener('abort', done, { once: true });
      });
    }
  }

  #enqueue(job: KnownJob): void {
    this.#queue.push(job);
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }

  #check(): void {
    if (this.outage) throw this.outage;
  }

  #job(id: string): KnownJob {
    const job = this.#jobs.get(id);
    if (!job) throw new Error(`There is no job ${id}`);
    return job;
  }
}
