import { setImmediate as nextTurn } from 'node:timers/promises';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { predict } from './mimeo-api.ts';
import { preciseClock } from './precise-clock.ts';
import type { MimeoServer } from './servers.ts';
import { type Lateness, latenessOf } from './summary.ts';

/** Seconds between two tokens, and how many a stream has: half a second and one second of tokens. */
const paces = [
  { delay: 0.005, tokens: 100 },
  { delay: 0.05, tokens: 20 },
] as const;
/** How long the model takes to its first token, so that a reader who comes after the request is there by then. */
const leadSeconds = 0.1;

export interface StreamSummary {
  readonly delayMs: number;
  readonly streams: number;
  readonly side: 'bare' | 'mimeo';
  readonly first: Lateness;
  readonly every: Lateness;
}

/** How late the tokens of a model that yields its own clock come, from both sides in turn. */
export async function measureStreams(options: {
  readonly bareUrl: string;
  readonly mimeo: MimeoServer;
  readonly version: string;
  readonly rounds: number;
  readonly say: (line: string) => void;
}): Promise<{ readonly summaries: readonly StreamSummary[]; readonly mimeoPredictions: number }> {
  const { bareUrl, mimeo, version, rounds, say } = options;
  const summaries: StreamSummary[] = [];
  let mimeoPredictions = 0;
  for (const { delay, tokens } of paces) {
    const input = { tokens, delay, lead: leadSeconds };
    const lateness = { bare: [] as number[][], mimeo: [] as number[][] };
    for (let round = 0; round <= rounds; round += 1) {
      const bare = await bareLateness(bareUrl, input);
      const throughMimeo = await mimeoLateness(mimeo, version, input);
      mimeoPredictions += 1;
      if (round === 0) continue;
      lateness.bare.push(bare);
      lateness.mimeo.push(throughMimeo);
    }
    for (const side of ['bare', 'mimeo'] as const) {
      const streams = lateness[side];
      const first = latenessOf(streams.flatMap((values) => values.slice(0, 1)));
      summaries.push({
        delayMs: delay * 1000,
        streams: rounds,
        side,
        first,
        every: latenessOf(streams.flat()),
      });
    }
    say(`${rounds} streams of ${tokens} tokens, ${delay * 1000} ms apart, from each side`);
  }
  return { summaries, mimeoPredictions };
}

interface ClockInput {
  readonly tokens: number;
  readonly delay: number;
  readonly lead: number;
}

/** A token of the model and when it was here, epoch ms. */
interface Arrival {
  readonly text: string;
  readonly at: number;
}

async function mimeoLateness(server: MimeoServer, version: string, input: ClockInput): Promise<number[]> {
  const now = preciseClock();
  const { urls } = await predict(server, version, { ...input }, { wait: false });
  if (urls.stream === undefined) throw new Error('The clock model has no stream');
  const response = await fetch(urls.stream, { headers: { accept: 'text/event-stream' } });
  return latenessIn(await arrivals(response, 'done', now, (data) => data), input);
}

async function bareLateness(url: string, input: ClockInput): Promise<number[]> {
  const now = preciseClock();
  for (let turn = 0; ; turn += 1) {
    const response = await fetch(`${url}/predictions/stream-${turn}-${Math.random().toString(36).slice(2)}`, {
      method: 'PUT',
      headers: { accept: 'text/event-stream', 'content-type': 'application/json' },
      body: JSON.stringify({ input }),
    });
    if (response.status !== 409) {
      const chunkOf = (data: string) => String((JSON.parse(data) as { chunk?: unknown }).chunk);
      return latenessIn(await arrivals(response, 'completed', now, chunkOf), input);
    }
    await response.body?.cancel();
    await nextTurn();
  }
}

/** The tokens of a stream up to its last event. */
async function arrivals(
  response: Response,
  last: string,
  now: () => number,
  textOf: (data: string) => string,
): Promise<readonly Arrival[]> {
  if (!response.ok || !response.body)
    throw new Error(`A stream was answered ${response.status}: ${await response.text()}`);
  const found: Arrival[] = [];
  const messages: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => messages.push(message) });
  const decoder = new TextDecoder();
  for await (const bytes of response.body) {
    const at = now();
    parser.feed(decoder.decode(bytes, { stream: true }));
    for (const { event, data } of messages.splice(0)) {
      if (event === 'output') found.push({ text: textOf(data), at });
      if (event === last) return found;
    }
  }
  throw new Error(`A stream ended without its event ${last}`);
}

/** @throws Error where a token was lost, doubled or out of order */
function latenessIn(found: readonly Arrival[], input: ClockInput): number[] {
  const yielded = found.map(({ text }) => Number(text));
  const inOrder = yielded.every((time, index) => index === 0 || time >= (yielded[index - 1] ?? Infinity));
  if (found.length !== input.tokens || !inOrder || yielded.some(Number.isNaN))
    throw new Error(`A stream of ${input.tokens} tokens came as ${found.map(({ text }) => text).join('')}`);
  return found.map(({ at }, index) => at - (yielded[index] ?? Number.NaN));
}
