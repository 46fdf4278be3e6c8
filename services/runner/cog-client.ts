import { setTimeout as pause } from 'node:timers/promises';
import { type FileFinder, fileFinder } from '../core/output-files.ts';
import { attachEvents, impossibleInput, type LiveSource, WebhookReceiver } from './cog-live.ts';
import {
  type CogHealth,
  type CogState,
  exceptionMessage,
  isDefunct,
  isRecord,
  parseHealth,
  parseJson,
  readState,
  refusalMessage,
} from './cog-state.ts';
import { describeExit } from './exit.ts';
import { AnswerTooLarge } from './http-answer.ts';
import { type HttpAnswer, LoopbackHttp } from './loopback-http.ts';
import { removeRunFiles } from './run-files.ts';
import { predictionLogs } from './server-log.ts';
import { cutLogs, type JsonValue, type ProgressEvent, Transcript } from './transcript.ts';

export interface CogClientOptions {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Whether the output is an iterator. */
  readonly streams: boolean;
  /** Largest output, and largest answer but for its logs. @default 64 MiB */
  readonly maxOutputBytes?: number;
  /** After how long a run that does not stream is watched for logs. @default 150 where there is a server log, else 0 */
  readonly attachAfterMs?: number;
  /** For how long a server with nothing to do may refuse a run as one too many before it counts as broken. @default 10 s */
  readonly stuckMs?: number;
  /** The end of what the server has written to its own log, where that can be read. */
  readonly serverLog?: (() => string) | undefined;
}

export interface CogJob {
  readonly id: string;
  readonly input: Record<string, JsonValue>;
  readonly traceparent: string | null;
}

/** How a run ended. */
export interface CogEnding {
  /**
   * `rejected`: the input was refused. `too_large`: so was the output, by us. `crashed`: the server says that it will
   * never run anything again. `lost`: the server says nothing any more.
   */
  readonly kind: 'succeeded' | 'failed' | 'canceled' | 'rejected' | 'too_large' | 'crashed' | 'lost';
  /** For people; empty only where it succeeded. */
  readonly message: string;
  /** Null where nothing was put out. */
  readonly output: JsonValue;
  readonly logs: string;
  readonly predictMs: number | null;
  readonly metrics: Record<string, JsonValue>;
  /** From the call to the server's acceptance. */
  readonly acceptedAfterMs: number;
}

const defaultMaxOutputBytes = 64 * 1024 * 1024;
/** Room for logs and for JSON's own characters beside the output. */
const answerSlackBytes = 16 * 1024 * 1024;
const smallAnswerBytes = 16 * 1024 * 1024;
/** What is still to come of a run's events when its answer is there. */
const lastEventsMs = 300;
/** Errors by which Cog tells that its worker, not the model's code, has failed. */
const workerFailure =
  /^(Worker |Slot socket error|Failed to send request|prediction task lost|Internal error)|unknown reason|exitcode/;

/**
 * Drives one Cog server. A run is one plain PUT over a kept-alive connection, whose answer is the truth about its end;
 * logs and output that come before are watched beside it, by server-sent events or, where the server offers none, by
 * webhooks to a loopback address.
 */
export class CogClient {
  readonly #options: CogClientOptions;
  readonly #http: LoopbackHttp;
  readonly #maxOutputBytes: number;
  readonly #attachAfterMs: number;
  #webhooks: WebhookReceiver | undefined;
  #isCoglet = true;
  #showsOutput: boolean;
  #files: FileFinder | undefined;

  constructor(options: CogClientOptions) {
    this.#options = options;
    this.#http = new LoopbackHttp(Number(new URL(options.url).port));
    this.#maxOutputBytes = options.maxOutputBytes ?? defaultMaxOutputBytes;
    this.#attachAfterMs = options.streams ? 0 : (options.attachAfterMs ?? (options.serverLog ? 150 : 0));
    this.#showsOutput = options.streams;
  }

  /** Finds files in what the model puts out; undefined where it puts out none. Known once it is prepared. */
  get files(): FileFinder | undefined {
    return this.#files;
  }

  /** What the server says of itself; undefined while it does not answer. */
  async health(): Promise<CogHealth | undefined> {
    try {
      const request = { method: 'GET', path: '/health-check', maxBodyBytes: smallAnswerBytes } as const;
      return parseHealth((await this.#http.request(request)).body);
    } catch {
      return undefined;
    }
  }

  /** Finds out, once the server is ready, how it shows what goes on in a run. Must come before the first run. */
  async prepare(health: CogHealth): Promise<void> {
    this.#isCoglet = health.coglet !== null;
    const request = { method: 'GET', path: '/openapi.json', maxBodyBytes: smallAnswerBytes } as const;
    const document = parseJson((await this.#http.request(request)).body);
    this.#files = fileFinder(document);
    // The older line sends paths of files while it runs, and their contents only in its answer.
    const outputItems = at(document, 'components', 'schemas', 'Output', 'items');
    if (!this.#isCoglet && at(outputItems, 'format') === 'uri') this.#showsOutput = false;
    if (this.#isCoglet && (await this.#offersEvents(document))) return;
    this.#webhooks = new WebhookReceiver(this.#maxOutputBytes + answerSlackBytes);
    await this.#webhooks.ready();
  }

  /** Runs a job to its end. Aborting `cancel` asks the model to stop, and goes on asking until it has. Never throws. */
  async run(
    job: CogJob,
    onProgress: (event: ProgressEvent) => void,
    cancel: AbortSignal,
  ): Promise<CogEnding> {
    const calledAt = performance.now();
    const path = `/predictions/${encodeURIComponent(job.id)}`;
    const settled = { is: false };
    const transcript = new Transcript({
      streams: this.#showsOutput,
      maxOutputChars: this.#maxOutputBytes,
      onProgress,
      onTooLarge: () => void this.#cancelUntil(path, settled),
    });
    const hook = this.#webhooks?.listen(transcript);
    let live: LiveSource | undefined = hook;
    const attach = () => {
      live = attachEvents(this.#http, path, transcript, this.#maxOutputBytes + answerSlackBytes);
    };
    const timer = hook || this.#attachAfterMs === 0 ? undefined : setTimeout(attach, this.#attachAfterMs);
    const onCancel = () => void this.#cancelUntil(path, settled);
    cancel.addEventListener('abort', onCancel, { once: true });
    let acceptedAfterMs = 0;
    const end = (kind: CogEnding['kind'], message: string, state?: CogState): CogEnding => ({
      kind,
      message,
      output: state?.output ?? (transcript.outputs.length > 0 ? [...transcript.outputs] : null),
      logs: state?.logs ? cutLogs(state.logs) : transcript.logs,
      predictMs: state?.predictMs ?? null,
      metrics: state?.metrics ?? {},
      acceptedAfterMs,
    });

    try {
      const put = this.#put(path, job, hook?.url, cancel, (sentAt) => {
        acceptedAfterMs = sentAt - calledAt;
      });
      // After the PUT was written, so that it mostly is the first to arrive.
      if (!hook && this.#attachAfterMs === 0) attach();
      const answer = await put;
      if (answer === 'never sent') return end('canceled', 'It was canceled before the model began.');
      if (answer === 'stuck') return end('crashed', 'The model server takes no more predictions.');
      if (transcript.isTooLarge) return end('too_large', this.#tooLargeMessage());
      return await this.#readAnswer(job, answer, transcript, live, end);
    } catch (error) {
      if (error instanceof AnswerTooLarge) return end('too_large', this.#tooLargeMessage());
      if (transcript.isTooLarge) return end('too_large', this.#tooLargeMessage());
      return end('lost', 'The model server went away while it ran the prediction.');
    } finally {
      clearTimeout(timer);
      cancel.removeEventListener('abort', onCancel);
      // Without a reason of our own, a DOMException with its stack is made for each run.
      settled.is = true;
      live?.stop();
      if (this.#isCoglet) removeRunFiles(job.id);
    }
  }

  /** Drops every connection; runs that are under way end as `lost`. */
  close(): void {
    this.#http.close();
    this.#webhooks?.close();
  }

  async #readAnswer(
    job: CogJob,
    { status, body }: HttpAnswer,
    transcript: Transcript,
    live: LiveSource | undefined,
    end: (kind: CogEnding['kind'], message: string, state?: CogState) => CogEnding,
  ): Promise<CogEnding> {
    if (status === 422) return end('rejected', refusalMessage(status, body));
    if (status !== 200) {
      if (await this.#isGone()) return end('crashed', deathMessage(transcript.logs));
      return end('failed', refusalMessage(status, body));
    }
    const value = parseJson(body);
    if (value === undefined) return end('failed', 'What the model put out is not JSON that can be read.');
    let state = readState(value);
    if (state.status === 'succeeded') {
      if (body.length - state.logs.length > this.#maxOutputBytes)
        return end('too_large', this.#tooLargeMessage());
      // What was not shown in time comes before the end; a run that showed nothing has its end alone.
      if (Array.isArray(state.output)) transcript.seeOutputs(state.output);
      if (transcript.logs !== '') transcript.seeLogs(state.logs);
      return end('succeeded', '', state);
    }
    if (this.#isCoglet) state = await this.#completeState(job, state, transcript, live);
    if (state.status === 'canceled') return end('canceled', 'The prediction was canceled.', state);
    if (workerFailure.test(state.error ?? '') && (await this.#isGone())) {
      return end('crashed', deathMessage(state.error ?? ''), state);
    }
    return end('failed', exceptionMessage(state.error, state.logs), state);
  }

  /** coglet's answer leaves out what a run had put out and printed before it failed or was canceled. */
  async #completeState(
    job: CogJob,
    state: CogState,
    transcript: Transcript,
    live: LiveSource | undefined,
  ): Promise<CogState> {
    const told = live && (await Promise.race([live.completed, pause(lastEventsMs)]));
    if (told) return { ...state, output: told.output, logs: told.logs };
    const output = transcript.outputs.length > 0 ? [...transcript.outputs] : null;
    return {
      ...state,
      output,
      logs: transcript.logs || predictionLogs(this.#options.serverLog?.() ?? '', job.id),
    };
  }

  /** Sends the PUT, again and again while the server has no slot. */
  async #put(
    path: string,
    job: CogJob,
    webhook: string | undefined,
    cancel: AbortSignal,
    onSend: (at: number) => void,
  ): Promise<HttpAnswer | 'never sent' | 'stuck'> {
    const events = this.#isCoglet ? ['output', 'logs', 'completed'] : ['output', 'logs'];
    const extra = webhook ? { webhook, webhook_events_filter: events } : {};
    const request = {
      method: 'PUT',
      path,
      headers: job.traceparent ? `traceparent: ${headerValue(job.traceparent)}\r\n` : '',
      body: JSON.stringify({ input: job.input, ...extra }),
      maxBodyBytes: this.#maxOutputBytes + answerSlackBytes,
    } as const;
    const firstAt = performance.now();
    for (let tries = 1; ; tries++) {
      if (cancel.aborted) return 'never sent';
      const sentAt = performance.now();
      onSend(sentAt);
      const answer = await this.#http.request(request);
      // 409: a slot is freed a moment after its answer. 202: an earlier attempt at this job still runs. 503: not ready.
      if (answer.status !== 409 && answer.status !== 202 && answer.status !== 503) return answer;
      if (sentAt - firstAt > (this.#options.stuckMs ?? 10_000)) return 'stuck';
      if (answer.status === 202 && tries === 1) await this.#cancel(path);
      if (tries > 5) await pause(Math.min(25, 2 ** (tries - 6)));
    }
  }

  async #cancelUntil(path: string, settled: { readonly is: boolean }): Promise<void> {
    while (!settled.is) {
      await this.#cancel(path);
      await pause(250, undefined, { ref: false });
    }
  }

  async #cancel(path: string): Promise<void> {
    const request = { method: 'POST', path: `${path}/cancel`, body: '{}', maxBodyBytes: 64 * 1024 } as const;
    // Whether it helped shows in the run's own answer.
    await this.#http.request(request).catch(() => {});
  }

  async #isGone(): Promise<boolean> {
    const health = await this.health();
    return !health || isDefunct(health);
  }

  async #offersEvents(document: JsonValue | undefined): Promise<boolean> {
    const marked = at(document, 'paths', '/predictions', 'post', 'x-cog-streaming') === true;
    // Else nothing would keep `attachEvents` from running the model.
    const checked = at(document, 'components', 'schemas', 'Input', 'type') === 'object';
    if (!marked || !checked) return false;
    const path = `/predictions/probe-${Math.random().toString(36).slice(2)}`;
    const request = { method: 'PUT', path, body: impossibleInput, maxBodyBytes: smallAnswerBytes } as const;
    return (await this.#http.request(request)).status === 422;
  }

  #tooLargeMessage(): string {
    const mebibytes = Math.floor(this.#maxOutputBytes / 1024 / 1024);
    return `The model put out more than ${mebibytes} MiB. Return large data as a file (cog.Path).`;
  }
}

/** How a worker died, as far as its server tells. */
function deathMessage(said: string): string {
  const code = /\(exitcode (-?\d+)\)/.exec(said)?.[1];
  return code === undefined
    ? "The model's process died while it ran the prediction."
    : describeExit({
        code: Number(code) < 0 ? null : Number(code),
        signal: code === '-9' ? 'SIGKILL' : null,
      });
}

/** A member deep in a JSON document, or undefined. */
function at(document: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined {
  let found = document;
  for (const name of path) found = isRecord(found) ? found[name] : undefined;
  return found;
}

function headerValue(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '');
}
