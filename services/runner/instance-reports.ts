import { ProblemError } from '../core/errors.ts';
import {
  type InstanceReport,
  idleReportSeconds,
  type RunnerProtocol,
  repeatReportSeconds,
  reportLogCharacters,
  setupReportSeconds,
} from '../ports/fleet-protocol/port.ts';
import type { Runner } from './app.ts';
import { backoffMs } from './delivery.ts';

export interface InstanceReporterOptions {
  readonly protocol: Pick<RunnerProtocol, 'reportInstance'>;
  readonly instanceId: string;
  readonly runner: Runner;
  /** Epoch ms, by the clock of the runner. */
  readonly now?: () => number;
  /** Called when a report was not taken after one that was: it is tried again. */
  readonly onProblem?: (error: unknown) => void;
}

/**
 * Tells the control plane what a runner's instance is like, from now until it is closed, and no oftener than it has to:
 * each report is a write. What changes while one is under way goes with the next; one that is not taken is tried again.
 */
export class InstanceReporter {
  readonly #options: InstanceReporterOptions;
  readonly #now: () => number;
  readonly #ignore: () => void;
  /** What the control plane knows. */
  #told: InstanceReport | undefined;
  #toldAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending = false;
  #failures = 0;
  #closed = false;
  #settling: (() => void)[] = [];

  constructor(options: InstanceReporterOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#ignore = options.runner.onChange(() => this.#look());
    this.#look();
  }

  /** Resolves once the control plane knows the phase that the instance has now, or wants to know nothing. */
  async settled(): Promise<void> {
    while (!this.#closed && !this.#isPhaseTold()) {
      await new Promise<void>((resolve) => this.#settling.push(resolve));
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#ignore();
    this.#settle();
  }

  #look(): void {
    if (this.#closed || this.#sending) return;
    clearTimeout(this.#timer);
    const waitMs = dueAt(this.#told, this.#toldAt, this.#current()) - this.#now();
    if (waitMs <= 0) void this.#send();
    else this.#timer = setTimeout(() => this.#look(), waitMs);
  }

  async #send(): Promise<void> {
    this.#sending = true;
    const report = this.#current();
    try {
      await this.#options.protocol.reportInstance(report);
      this.#told = report;
      this.#toldAt = this.#now();
      this.#failures = 0;
      this.#next();
    } catch (error) {
      if (this.#closed) return;
      // An api of the release before, which takes none; the next may be of this one.
      if (error instanceof ProblemError && error.code === 'not_found') {
        this.#told = report;
        this.#toldAt = this.#now();
        this.#next();
        return;
      }
      if (this.#failures === 0) this.#options.onProblem?.(error);
      this.#timer = setTimeout(() => this.#next(), backoffMs(this.#failures));
      this.#failures += 1;
    }
  }

  #next(): void {
    this.#sending = false;
    this.#settle();
    this.#look();
  }

  #isPhaseTold(): boolean {
    return this.#told !== undefined && phaseOf(this.#told) === phaseOf(this.#current());
  }

  #settle(): void {
    for (const resolve of this.#settling.splice(0)) resolve();
  }

  #current(): InstanceReport {
    const { instanceId: instance, runner } = this.#options;
    const { phase, readyAt, running, idleSince, failure, broken, setupLogs, isDrained } = runner;
    const hasDrained = isDrained && phase === 'draining';
    return {
      instance,
      phase: hasDrained ? 'drained' : phase,
      readyAt,
      running,
      idleSince: phase === 'ready' ? idleSince : null,
      failure,
      broken,
      setupLogs: setupLogs.slice(-reportLogCharacters),
    };
  }
}

/** When (epoch ms) an instance is to be told of next, if it stays as it is; in the past where that is now. */
function dueAt(told: InstanceReport | undefined, toldAt: number, current: InstanceReport): number {
  if (!told || phaseOf(told) !== phaseOf(current)) return Number.NEGATIVE_INFINITY;
  const isIdleAsTold = told.idleSince === current.idleSince;
  // It works again, or it has worked meanwhile, so that it is not idle for as long as it was told.
  if (told.idleSince !== null && !isIdleAsTold) return Number.NEGATIVE_INFINITY;
  let due = toldAt + repeatReportSeconds * 1000;
  if (current.phase === 'setup' && told.setupLogs !== current.setupLogs) {
    due = Math.min(due, toldAt + setupReportSeconds * 1000);
  }
  if (current.idleSince !== null) {
    const knownIdleAt = current.idleSince + idleReportSeconds * 1000;
    // Told of earlier, it may have begun to work again a moment later, of which nothing would be told.
    if (!isIdleAsTold || toldAt < knownIdleAt) due = Math.min(due, knownIdleAt);
  }
  return due;
}

/** What is told at once when it changes. */
function phaseOf({ phase, broken }: InstanceReport): string {
  return broken === null ? phase : `${phase}, broken`;
}
