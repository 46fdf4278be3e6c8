import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { type FailureCode, ProblemError } from '../core/errors.ts';
import type { Instance } from '../core/pool.ts';
import {
  type Assignment,
  maxPollSeconds,
  type ReportedOutcome,
  type RunnerProtocol,
} from '../ports/fleet-protocol/port.ts';
import type { Traces } from '../ports/traces/port.ts';
import { CogClient, type CogEnding } from './cog-client.ts';
import { isDefunct } from './cog-state.ts';
import { backoffMs, Delivery, isPassing } from './delivery.ts';
import { type CogExit, describeExit } from './exit.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { OutputFiles, type SentFiles, type StoredOutput } from './output-files.ts';
import { beginRunSpan, type RunSpan } from './run-span.ts';
import { allSetupLogs, awaitSetup, lastLinesMs, type SetupResult, setupDeath } from './setup.ts';
import type { ProgressEvent } from './transcript.ts';

export interface RunnerOptions {
  readonly protocol: RunnerProtocol;
  readonly instanceId: string;
  readonly pool: { readonly id: string; readonly concurrency: number; readonly streams: boolean };
  /** `http://127.0.0.1:PORT` of the instance's Cog server. */
  readonly cogUrl: string;
  /** The end of what the server has written to stdout and stderr, where this process can read it. */
  readonly serverLog?: () => string;
  /** Whether the system has killed anything for want of memory since the instance was started, where it can be told. */
  readonly outOfMemory?: () => boolean;
  /** Epoch ms. */
  readonly now?: () => number;
  /** @default 600 s */
  readonly setupTimeoutMs?: number;
  /** How long a model may go on after it was told to stop. @default 10 s */
  readonly cancelGraceMs?: number;
  /** @default 64 MiB */
  readonly maxOutputBytes?: number;
  /** Where the server, started with `--upload-url`, sends its file where its version puts out one and nothing else. */
  readonly sentFiles?: SentFiles | undefined;
  /** For how long a server that has nothing to do may refuse jobs. @default 10 s */
  readonly stuckMs?: number;
  /** Given where runs are traced. */
  readonly traces?: Traces | undefined;
  /** Whether the control plane may have it drain, which costs one long poll all the time. @default false */
  readonly takesOrders?: boolean;
  /**
   * Given where the server is started later, as by a machine that has to pull its image: how long its first answer may
   * take. Setup's time counts from there.
   */
  readonly firstAnswerMs?: number | undefined;
}

/** Feeds one instance with jobs. */
export interface Runner {
  readonly phase: 'setup' | 'ready' | 'draining' | 'failed';
  readonly failure: Instance['failure'];
  readonly setupLogs: string;
  /** Epoch ms; null until it was ready once. */
  readonly readyAt: number | null;
  /** Seconds from the runner's start to ready; null until then. */
  readonly setupSeconds: number | null;
  /** Jobs in the model now. */
  readonly running: number;
  /** Epoch ms since when it has nothing to run and nothing to report; null while it works or boots. */
  readonly idleSince: number | null;
  /** Why the server cannot be used any more though it was ready, so that its process must be replaced; else null. */
  readonly broken: string | null;
  /** Whether a drain has come to its end: the control plane knows of all of its jobs. */
  readonly isDrained: boolean;
  /** Calls back when something above has changed. Returns a function that stops it. */
  onChange(listener: () => void): () => void;
  /** To be told by whoever watches the server's process. */
  cogExited(exit: CogExit): void;
  /**
   * Leases nothing more, lets jobs end within `graceMs` and gives back the rest. Resolves when the control plane knows
   * of all of them. A second call can only shorten the time.
   */
  drain(options: { readonly graceMs: number }): Promise<void>;
}

interface HeldJob {
  readonly job: Assignment;
  readonly delivery: Delivery;
  /** Given where the model puts out files. */
  readonly files: OutputFiles | undefined;
  /** Given where the job is traced. */
  readonly span: RunSpan | undefined;
  readonly cancel: AbortController;
  /** `stopped`: canceled, or no longer ours. `given back`: another instance shall run it. */
  fate: 'running' | 'stopped' | 'given back' | 'ended';
  /** Whether the model is done with it; its files may still be on their way. */
  hasRun: boolean;
}

/** A job that does not stream tells nothing before it has run for this long. */
const quietJobMs = 150;
/** How often `running` and `idleSince` are told of at most: a no-op model changes them 2,000 times a second. */
const changeIntervalMs = 100;
/** How long the exit of a server's process may be told after its connections broke. */
const exitNewsMs = 500;
const idleCheckMs = 30_000;
/** A longer timer would end at once. */
const longestTimerMs = 2 ** 31 - 1;

/** Starts a runner for a Cog server that is starting up. */
export function startRunner(options: RunnerOptions): Runner {
  return new InstanceRunner(options);
}

class InstanceRunner implements Runner {
  readonly #options: RunnerOptions;
  readonly #protocol: RunnerProtocol;
  readonly #cog: CogClient;
  readonly #now: () => number;
  readonly #startedAt = performance.now();
  readonly #held = new Set<HeldJob>();
  readonly #leases: LeaseKeeper<HeldJob>;
  readonly #listeners = new Set<() => void>();
  /** Aborts when no more jobs are wanted. */
  readonly #closing = new AbortController();
  /** Aborts when a drain's time is over. */
  readonly #hurry = new AbortController();
  readonly #exit = Promise.withResolvers<CogExit>();
  /** Aborts when the runner has ended. */
  readonly #over = new AbortController();
  #slots: Promise<void>[] = [];
  #drained: Promise<void> | undefined;
  #changeTimer: NodeJS.Timeout | undefined;
  phase: Runner['phase'] = 'setup';
  failure: Instance['failure'] = null;
  setupLogs = '';
  readyAt: number | null = null;
  setupSeconds: number | null = null;
  running = 0;
  idleSince: number | null = null;
  broken: string | null = null;
  isDrained = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#protocol = options.protocol;
    this.#now = options.now ?? Date.now;
    const { cogUrl: url, pool, maxOutputBytes, serverLog, stuckMs } = options;
    this.#cog = new CogClient({ url, streams: pool.streams, maxOutputBytes, serverLog, stuckMs });
    this.#leases = new LeaseKeeper({
      protocol: options.protocol,
      instanceId: options.instanceId,
      held: this.#held,
      onStop: (held) => this.#stop(held),
      onDrain: options.takesOrders
        ? ({ graceSeconds }) => void this.drain({ graceMs: graceSeconds * 1000 })
        : undefined,
    });
    void this.#setUp();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  cogExited(exit: CogExit): void {
    if (this.phase === 'setup') {
      const log = this.#options.serverLog?.() ?? '';
      this.#fail(setupDeath(exit, log, this.#isOutOfMemory()));
    }
    this.#exit.resolve(exit);
    this.#break(describeExit(exit, this.#isOutOfMemory()));
  }

  drain({ graceMs }: { readonly graceMs: number }): Promise<void> {
    const timer = setTimeout(() => this.#hurry.abort(), Math.min(graceMs, longestTimerMs));
    this.#drained ??= this.#drain();
    return this.#drained.finally(() => clearTimeout(timer));
  }

  async #setUp(): Promise<void> {
    const result = await awaitSetup(this.#cog, {
      timeoutMs: this.#options.setupTimeoutMs ?? 600_000,
      signal: this.#closing.signal,
      serverLog: this.#options.serverLog ?? (() => ''),
      firstAnswerMs: this.#options.firstAnswerMs,
      onLogs: (logs) => {
        if (logs === this.setupLogs) return;
        this.setupLogs = logs;
        this.#changedSoon();
      },
    });
    if (!result || this.phase !== 'setup') return;
    if (result.failure) {
      this.#fail(result);
      return;
    }
    this.phase = 'ready';
    this.setupLogs = result.setupLogs;
    this.readyAt = this.#now();
    this.idleSince = this.readyAt;
    this.setupSeconds = (performance.now() - this.#startedAt) / 1000;
    this.#slots = Array.from({ length: this.#options.pool.concurrency }, () => this.#serveSlot());
    void this.#checkWhileIdle();
    this.#changed();
    await this.#pause(lastLinesMs);
    const all = allSetupLogs(this.setupLogs, this.#options.serverLog?.() ?? '');
    if (all === this.setupLogs) return;
    this.setupLogs = all;
    this.#changedSoon();
  }

  #fail({ failure, setupLogs }: SetupResult): void {
    this.phase = 'failed';
    this.failure = failure;
    this.setupLogs = setupLogs;
    this.#closing.abort();
    this.#cog.close();
    this.#changed();
  }

  /** Runs one job after the other. The model waits for nothing: the next job is fetched before an end is reported. */
  async #serveSlot(): Promise<void> {
    let reported: Promise<void> = Promise.resolve();
    let next = this.#lease();
    let asked = newTurn();
    for (;;) {
      const job = await next;
      const othersWait = !asked.isOver;
      if (!job && this.#closing.signal.aborted) break;
      if (!job) {
        next = this.#lease();
        asked = newTurn();
        continue;
      }
      const held = this.#hold(job);
      if (this.#closing.signal.aborted) {
        reported = this.#giveBack(held);
        break;
      }
      this.running++;
      const call = held.span?.beginCall();
      const sent = call ? { ...job, traceparent: call.traceparent } : job;
      const ending = await this.#cog.run(sent, progressOf(held), held.cancel.signal);
      call?.end(ending);
      this.running--;
      held.hasRun = true;
      held.files?.shut();
      const outcome = await this.#conclude(held, ending);
      held.span?.end(outcome);
      await reported;
      // What others wait for goes first: the next job's way to the model, or, where none waits, this one's end.
      if (!othersWait) {
        reported = this.#end(held, outcome, ending);
        await turn();
      }
      next = this.#lease();
      asked = newTurn();
      if (othersWait) reported = this.#end(held, outcome, ending, turn());
    }
    await reported;
  }

  async #lease(): Promise<Assignment | null> {
    const request = { instance: this.#options.instanceId, waitSeconds: maxPollSeconds };
    for (let tries = 0; !this.#closing.signal.aborted; tries++) {
      try {
        return await this.#protocol.lease(request, this.#closing.signal);
      } catch {
        await this.#pause(backoffMs(tries), this.#closing.signal);
      }
    }
    return null;
  }

  #hold(job: Assignment): HeldJob {
    const quietMs = this.#options.pool.streams ? 0 : quietJobMs;
    const delivery: Delivery = new Delivery(this.#protocol, job, quietMs, () => this.#stop(held));
    const finder = this.#cog.files;
    const { pool, sentFiles } = this.#options;
    const sent = finder?.isOneFile && pool.concurrency === 1 ? sentFiles : undefined;
    const files = finder && new OutputFiles(finder, this.#protocol, job, sent);
    const held: HeldJob = {
      job,
      delivery,
      files,
      span: this.#options.traces && beginRunSpan(this.#options.traces, job, this.#options),
      cancel: new AbortController(),
      fate: 'running',
      hasRun: false,
    };
    this.#held.add(held);
    this.idleSince = null;
    this.#changedSoon();
    this.#leases.begin(held);
    return held;
  }

  #release(held: HeldJob): void {
    held.fate = 'ended';
    this.#held.delete(held);
    if (this.#held.size === 0) this.idleSince = this.#now();
    this.#changedSoon();
  }

  /** What to report of a run that has ended; undefined where nothing is. */
  async #conclude(held: HeldJob, ending: CogEnding): Promise<ReportedOutcome | undefined> {
    if (isGivenBack(held)) return undefined;
    let { message } = ending;
    if (ending.kind === 'lost') {
      // Before the kill that a break brings about, so that it is the model's own end that is told.
      const exit = await Promise.race([this.#exit.promise, this.#pause(exitNewsMs)]);
      message = this.broken ?? (exit ? describeExit(exit, this.#isOutOfMemory()) : message);
      this.#break(message);
    } else if (ending.kind === 'crashed') {
      if (this.#isOutOfMemory()) message = describeExit({ code: null, signal: null }, true);
      this.#break(message);
    }
    if (isGivenBack(held)) return undefined;
    const { predictMs, metrics } = ending;
    const stored = await storeFiles(held, ending);
    if (isGivenBack(held)) return undefined;
    if (stored instanceof ProblemError) {
      const code = stored.code === 'payload_too_large' ? 'output_too_large' : 'platform_error';
      return {
        status: 'failed',
        failure: { code, message: stored.message },
        output: null,
        predictMs,
        metrics,
      };
    }
    const { output, files } = stored;
    if (ending.kind === 'succeeded') return { status: 'succeeded', output, files, predictMs, metrics };
    if (ending.kind === 'canceled' && held.fate === 'running')
      message = 'The model canceled the run by itself.';
    const code = held.fate === 'stopped' ? 'canceled' : failureCodeOf[ending.kind];
    return { status: 'failed', failure: { code, message }, output, files, predictMs, metrics };
  }

  /**
   * @param outcome undefined where nothing is to be told
   * @param after what to wait for first
   */
  async #end(
    held: HeldJob,
    outcome: ReportedOutcome | undefined,
    { logs, acceptedAfterMs }: CogEnding,
    after?: Promise<unknown>,
  ): Promise<void> {
    if (!outcome) return;
    held.fate = 'ended';
    if (after) await after;
    await held.delivery.end({ type: 'ended', outcome, logs, acceptedAfterMs });
    this.#release(held);
  }

  /** Stops a job that was canceled or that is not ours any more. A model that does not listen loses its process. */
  #stop(held: HeldJob): void {
    if (held.fate !== 'running') return;
    held.fate = 'stopped';
    held.cancel.abort();
    const graceMs = this.#options.cancelGraceMs ?? 10_000;
    void this.#pause(graceMs).then(() => {
      if (held.hasRun || held.fate !== 'stopped' || this.#over.signal.aborted) return;
      // The others in this process have done nothing wrong.
      for (const other of this.#held) if (other.fate === 'running') void this.#giveBack(other);
      this.#break(
        `The model went on for ${graceMs / 1000} s after it was canceled, so its process was killed.`,
      );
    });
  }

  /** Puts a job back for another instance to run. Resolves when that is known, or when nobody cares any more. */
  async #giveBack(held: HeldJob): Promise<void> {
    held.fate = 'given back';
    held.delivery.abandon();
    held.cancel.abort();
    const { id, attempt } = held.job;
    for (let tries = 0; tries < 10; tries++) {
      try {
        await this.#protocol.giveBack({ id, attempt });
        break;
      } catch (error) {
        // Else its lease runs out.
        if (!isPassing(error)) break;
        await this.#pause(backoffMs(tries));
      }
    }
    this.#release(held);
  }

  #break(reason: string): void {
    if (this.broken !== null || this.phase === 'failed') return;
    this.broken = reason;
    this.#closing.abort();
    this.#changed();
  }

  async #drain(): Promise<void> {
    if (this.phase !== 'failed') {
      this.phase = 'draining';
      this.#changed();
    }
    this.#closing.abort();
    const ended = Promise.all(this.#slots);
    await Promise.race([ended, aborted(this.#hurry.signal)]);
    const left = [...this.#held].filter(({ fate }) => fate === 'running' || fate === 'stopped');
    await Promise.all(left.map((held) => (held.fate === 'running' ? this.#giveBack(held) : undefined)));
    this.#cog.close();
    await ended;
    this.#over.abort();
    this.#leases.close();
    this.isDrained = true;
    this.#changed();
  }

  /** coglet goes on serving when its worker has died, even while nothing runs. */
  async #checkWhileIdle(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await this.#pause(idleCheckMs, this.#closing.signal);
      if (this.#held.size > 0 || this.#closing.signal.aborted) continue;
      const health = await this.#cog.health();
      if (this.#held.size === 0 && (!health || isDefunct(health))) {
        this.#break("The model's process died while it had nothing to do.");
      }
    }
  }

  #isOutOfMemory(): boolean {
    return this.#options.outOfMemory?.() ?? false;
  }

  #pause(ms: number, signal: AbortSignal = this.#over.signal): Promise<undefined> {
    return pause(ms, undefined, { signal }).catch(() => undefined);
  }

  #changed(): void {
    clearTimeout(this.#changeTimer);
    this.#changeTimer = undefined;
    for (const listener of [...this.#listeners]) listener();
  }

  #changedSoon(): void {
    this.#changeTimer ??= setTimeout(() => this.#changed(), changeIntervalMs);
  }
}

/** How coglet 0.23.1 begins the error of a run whose file it could not send. */
const uploadFailed = 'Failed to upload output';

/** Where a run's progress goes: straight to the control plane, unless files have to be brought away first. */
function progressOf({ delivery, files }: HeldJob): (event: ProgressEvent) => void {
  const tell = (event: ProgressEvent) => delivery.progress(event);
  return files ? (event) => files.progress(event, tell) : tell;
}

/** The output, its files stored; the problem where they could not be. */
async function storeFiles(
  { files, fate, span }: HeldJob,
  { kind, message, output }: CogEnding,
): Promise<StoredOutput | ProblemError> {
  if (!files) return { output, files: undefined };
  const storing = span?.beginStoring();
  try {
    // Cog says that an upload failed, but neither why nor whose fault it is.
    if (kind === 'failed' && fate === 'running' && files.failure && message.includes(uploadFailed))
      throw files.failure;
    const stored = await files.end(output);
    if (stored.files) storing?.end({ attributes: { 'mimeo.files': stored.files.length } });
    return stored;
  } catch (error) {
    if (!(error instanceof ProblemError)) return new ProblemError('internal', 'A file could not be stored.');
    // A job that was canceled meanwhile needs no place for its files; nor does one that others run.
    return error.code === 'stale_attempt' ? { output: null, files: undefined } : error;
  }
}

/** Whether the present turn of the event loop is over. */
function newTurn(): { readonly isOver: boolean } {
  const state = { isOver: false };
  setImmediate(() => {
    state.isOver = true;
  });
  return state;
}

const failureCodeOf = {
  failed: 'model_error',
  canceled: 'model_error',
  rejected: 'input_rejected',
  too_large: 'output_too_large',
  crashed: 'model_crashed',
  lost: 'model_crashed',
} as const satisfies Record<Exclude<CogEnding['kind'], 'succeeded'>, FailureCode>;

function isGivenBack(held: HeldJob): boolean {
  return held.fate === 'given back';
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
