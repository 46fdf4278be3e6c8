import { setTimeout as pause } from 'node:timers/promises';
import { ProblemError } from '../core/errors.ts';
import {
  type Assignment,
  leaseSeconds,
  type RunnerEvent,
  type RunnerProtocol,
} from '../ports/fleet-protocol/port.ts';
import type { ProgressEvent } from './transcript.ts';

export type EndedEvent = Extract<RunnerEvent, { type: 'ended' }>;

/** Whether the control plane may take the same call a moment later. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof ProblemError)) return true;
  return error.code === 'unavailable' || error.code === 'internal' || error.code === 'rate_limited';
}

/** Milliseconds before the next try: doubling from 50 to 5,000, spread so that runners do not come back at once. */
export function backoffMs(tries: number, random: () => number = Math.random): number {
  return Math.min(5000, 50 * 2 ** Math.min(tries, 10)) * (0.5 + random() / 2);
}

const maxEventsPerReport = 1000;

/**
 * Brings what happens in one job to the control plane, in order: the first event at once, and whatever comes while a
 * report is under way in the next one. Through an outage it keeps everything, for as long as the lease lasts.
 */
export class Delivery {
  readonly #protocol: Pick<RunnerProtocol, 'report'>;
  readonly #job: Assignment;
  readonly #onRefused: () => void;
  readonly #queue: RunnerEvent[] = [];
  readonly #settled = Promise.withResolvers<void>();
  readonly #quietUntil: number;
  #leaseUntil: number;
  /** Of what was sent last. */
  #place = { chunk: 0, log: 0 };
  #sent = false;
  #underway = false;
  #flushing: NodeJS.Immediate | undefined;
  #waking: NodeJS.Timeout | undefined;
  #refused = false;

  /**
   * @param quietMs for how long nothing is told but the end: most jobs have ended by then, with one report
   * @param onRefused called once when the control plane does not want the job's events any more
   */
  constructor(
    protocol: Pick<RunnerProtocol, 'report'>,
    job: Assignment,
    quietMs: number,
    onRefused: () => void,
  ) {
    this.#protocol = protocol;
    this.#job = job;
    this.#onRefused = onRefused;
    const now = performance.now();
    this.#quietUntil = now + quietMs;
    this.#leaseUntil = now + leaseSeconds * 1000;
  }

  /** Whether the lease has run out for want of renewal. */
  get isExpired(): boolean {
    return performance.now() > this.#leaseUntil;
  }

  /** The lease was renewed just now. */
  renew(): void {
    this.#leaseUntil = performance.now() + leaseSeconds * 1000;
  }

  progress(event: ProgressEvent): void {
    if (this.#refused) return;
    const last = this.#queue.at(-1);
    if (event.type === 'logs' && last?.type === 'logs') {
      this.#queue[this.#queue.length - 1] = { type: 'logs', text: last.text + event.text };
    } else {
      this.#queue.push(event);
    }
    const quietMs = this.#quietUntil - performance.now();
    if (quietMs > 0) this.#waking ??= setTimeout(() => this.#flush(), quietMs);
    // Not this instant: what else was read from the socket goes with it.
    else this.#flushing ??= setImmediate(() => this.#flush());
  }

  /** Resolves when the end is acknowledged, or when nobody wants to know it any more. */
  end(event: EndedEvent): Promise<void> {
    // Nobody has begun to follow the logs, and the end has all of them.
    const told = this.#sent ? this.#queue : this.#queue.filter(({ type }) => type !== 'logs');
    this.#queue.splice(0, this.#queue.length, ...told, event);
    this.#flush();
    return this.#settled.promise;
  }

  /** Sends nothing more. */
  abandon(): void {
    this.#refused = true;
    clearTimeout(this.#waking);
    this.#queue.length = 0;
    this.#settled.resolve();
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    clearTimeout(this.#waking);
    this.#flushing = undefined;
    this.#waking = undefined;
    if (this.#underway || this.#refused || this.#queue.length === 0) return;
    this.#underway = true;
    this.#sent = true;
    void this.#send();
  }

  async #send(): Promise<void> {
    while (this.#queue.length > 0 && !this.#refused) {
      const events = this.#queue.splice(0, maxEventsPerReport).map((event) => this.#placed(event));
      const delivered = await this.#report(events);
      if (!delivered) {
        this.abandon();
        this.#onRefused();
      } else if (events.at(-1)?.type === 'ended') {
        this.#settled.resolve();
      }
    }
    this.#underway = false;
  }

  /** Says of logs where they belong: each report of a job may reach another process of the control plane. */
  #placed(event: RunnerEvent): RunnerEvent {
    if (event.type === 'output') this.#place = { chunk: event.index + 1, log: 0 };
    if (event.type !== 'logs') return event;
    this.#place = { ...this.#place, log: this.#place.log + 1 };
    return { ...event, place: this.#place };
  }

  /** False where the report was refused, or the lease ran out before anybody was there to take it. */
  async #report(events: RunnerEvent[]): Promise<boolean> {
    const { id, attempt } = this.#job;
    for (let tries = 0; ; tries++) {
      try {
        await this.#protocol.report({ id, attempt, events });
        return true;
      } catch (error) {
        const tooLarge = error instanceof ProblemError && error.code === 'payload_too_large';
        if (tooLarge && withoutOutput(events, error)) continue;
        if (!isPassing(error) || this.isExpired) return false;
        await pause(backoffMs(tries));
        if (this.#refused) return false;
      }
    }
  }
}

/** Turns an end that is too large for the control plane into one that says so. False where there is none. */
function withoutOutput(events: RunnerEvent[], error: Error): boolean {
  const end = events.at(-1);
  if (end?.type !== 'ended' || end.outcome.output === null) return false;
  const { predictMs } = end.outcome;
  const failure = { code: 'output_too_large', message: error.message } as const;
  const outcome = { status: 'failed', failure, output: null, predictMs, metrics: {} } as const;
  events.splice(0, events.length, { ...end, outcome });
  return true;
}
