import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { type CogState, isRecord, parseJson, readState } from './cog-state.ts';
import type { HttpStream, LoopbackHttp } from './loopback-http.ts';
import type { Transcript } from './transcript.ts';

/** Where a run's logs and output come from while it runs. */
export interface LiveSource {
  /** How the run ended, where this source tells it; may never resolve. */
  readonly completed: Promise<CogState>;
  stop(): void;
}

/** An input that no model takes: see `attachEvents`. */
export const impossibleInput = '{"input":[]}';

const maxAttachments = 50;

/**
 * Follows the events of a run that another request has started. coglet takes a PUT of an id that runs as a wish to
 * see its events from the start; for an id that does not (yet, or any more) the impossible input keeps the same PUT
 * from running the model a second time: it is refused with 422, and asked again until `stop`.
 * Dropping this subscription does not cancel the run, as it would if this request had started it
 * (coglet 0.23.1, service.rs: `cancel_on_stream_drop`); and a reader that falls behind by 1,024 events is thrown out.
 */
export function attachEvents(
  http: LoopbackHttp,
  path: string,
  transcript: Transcript,
  maxBodyBytes: number,
): LiveSource {
  const completed = Promise.withResolvers<CogState>();
  let stopped = false;
  let stream: HttpStream | undefined;
  let seen = 0;

  const attach = async (): Promise<'refused' | 'again' | 'over'> => {
    let count = 0;
    let over = false;
    const onEvent = (message: EventSourceMessage) => {
      if (stopped) return;
      if (message.event === 'error') {
        // Thrown out for reading too slowly: the replay gives what was missed, unless that is gone as well.
        over = message.data.includes('truncated');
        return;
      }
      count++;
      if (count <= seen) return;
      seen = count;
      const state = readEvent(message, transcript);
      if (!state) return;
      over = true;
      completed.resolve(state);
    };
    const parser = createParser({ onEvent, maxBufferSize: maxBodyBytes });
    const request = {
      method: 'PUT',
      path,
      headers: 'accept: text/event-stream\r\n',
      body: impossibleInput,
      maxBodyBytes: 8 * maxBodyBytes,
    } as const;
    stream = http.stream(request, (text, status) => {
      if (status === 200) parser.feed(text);
    });
    const answered = await stream.ended;
    if (over) return 'over';
    if (answered === 200) return 'again';
    return answered === 422 || answered === 0 ? 'refused' : 'over';
  };

  const follow = async () => {
    let delayMs = 0;
    for (let attachments = 0; !stopped && attachments < maxAttachments; ) {
      const outcome = await attach();
      if (outcome === 'over') return;
      if (outcome === 'again') attachments++;
      await pause(delayMs);
      delayMs = Math.min(50, delayMs * 2 + 1);
    }
  };
  void follow();

  return {
    completed: completed.promise,
    stop() {
      stopped = true;
      stream?.destroy();
    },
  };
}

/** Takes one event into the transcript. Returns the run's state where it is the last. */
function readEvent({ event, data }: EventSourceMessage, transcript: Transcript): CogState | undefined {
  const value = parseJson(data);
  if (!isRecord(value)) return undefined;
  if (event === 'output') {
    if (typeof value.index === 'number') transcript.addOutput(value.index, value.chunk ?? null, data.length);
  } else if (event === 'log') {
    if (typeof value.data === 'string') transcript.addLogs(value.data);
  } else if (event === 'completed') {
    const state = readState(value);
    seeState(state, transcript);
    return state;
  }
  return undefined;
}

function seeState(state: CogState, transcript: Transcript): void {
  transcript.seeLogs(state.logs);
  if (Array.isArray(state.output)) transcript.seeOutputs(state.output);
}

/**
 * Receives the webhooks of Cog servers that offer no events, on a path that cannot be guessed, one a run. Each tells
 * the whole state so far, and may come after a later one; the transcript only grows.
 */
export class WebhookReceiver {
  readonly #server: Server;
  readonly #runs = new Map<string, (state: CogState) => void>();
  readonly #maxBodyBytes: number;
  readonly #listening: Promise<void>;

  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes;
    this.#server = createServer((request, response) => this.#receive(request, response));
    this.#listening = new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
  }

  /** Resolves when webhooks can come. */
  ready(): Promise<void> {
    return this.#listening;
  }

  /** A URL for one run, and what comes there. */
  listen(transcript: Transcript): LiveSource & { readonly url: string } {
    const { port } = this.#server.address() as AddressInfo;
    const path = `/${randomBytes(24).toString('base64url')}`;
    const completed = Promise.withResolvers<CogState>();
    this.#runs.set(path, (state) => {
      seeState(state, transcript);
      if (['succeeded', 'failed', 'canceled'].includes(state.status)) completed.resolve(state);
    });
    return {
      url: `http://127.0.0.1:${port}${path}`,
      completed: completed.promise,
      stop: () => {
        this.#runs.delete(path);
      },
    };
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > this.#maxBodyBytes) request.destroy();
      else chunks.push(chunk);
    });
    request.on('error', () => {});
    request.on('end', () => {
      // Answered whatever it is: Cog repeats a last webhook that fails for minutes.
      response.end();
      const run = this.#runs.get(request.url ?? '');
      if (!run) return;
      const state = parseJson(Buffer.concat(chunks).toString('utf8'));
      if (isRecord(state)) run(readState(state));
    });
  }
}
