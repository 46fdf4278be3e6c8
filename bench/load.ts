import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Dispatcher, Pool } from 'undici';
import { removeRunFiles } from '../services/runner/run-files.ts';

/** A server under load: a bare Cog server, Mimeo in front of one, or a peer of Mimeo's. */
export type Target =
  | { readonly kind: 'peer'; readonly url: string; readonly path: string }
  | { readonly kind: 'cog'; readonly url: string }
  | { readonly kind: 'mimeo'; readonly url: string; readonly token: string; readonly version: string };

/** One round: so many clients, each sending its next request when the last one is answered. */
export interface Round {
  readonly target: Target;
  readonly clients: number;
  readonly seconds: number;
}

export interface RoundResult {
  /** One for each answer. From the first sending of a request, its retries included. */
  readonly latenciesMs: readonly number[];
  readonly elapsedMs: number;
  /** How often bare Cog answered 409 and was asked again. */
  readonly retries: number;
  /** Predictions made before the clock ran, one for each connection. */
  readonly uncounted: number;
}

/** What the process of the load generator answers. */
export type LoadAnswer = { readonly result: RoundResult } | { readonly error: string };

/** Sends `text` and gives what came back. Every answer is checked. */
type Ask = (text: string) => Promise<void>;

/**
 * Puts load on a server for a while.
 * @throws Error on the first answer that is not the right one
 */
export async function runRound({ target, clients, seconds }: Round): Promise<RoundResult> {
  const pool = new Pool(target.url, { connections: clients, pipelining: 1 });
  const latenciesMs: number[] = [];
  let retries = 0;
  const onRetry = () => {
    retries += 1;
  };
  const ask = askOf(pool, target, onRetry);
  const before = predictions;
  try {
    await Promise.all(Array.from({ length: clients }, async (_, client) => ask(`warm-${client}`)));
    retries = 0;
    const begin = performance.now();
    const end = begin + seconds * 1000;
    await Promise.all(
      Array.from({ length: clients }, async (_, client) => {
        for (let turn = 0; performance.now() < end; turn += 1) {
          const sent = performance.now();
          await ask(`${client}-${turn}`);
          latenciesMs.push(performance.now() - sent);
        }
      }),
    );
    return { latenciesMs, elapsedMs: performance.now() - begin, retries, uncounted: clients };
  } finally {
    await pool.close();
    // A bare Cog server keeps a folder for each.
    for (let number = before + 1; number <= predictions; number++) removeRunFiles(cogId(number));
  }
}

function askOf(pool: Pool, target: Target, onRetry: () => void): Ask {
  if (target.kind === 'cog') return cogAsk(pool, onRetry);
  return target.kind === 'peer' ? peerAsk(pool, target.path) : mimeoAsk(pool, target);
}

/** How many runs bare Cog servers were given. */
let predictions = 0;

function cogId(number: number): string {
  return `bench-${process.pid}-${number}`;
}

/**
 * Cog refuses with 409 while its slot is taken, and for a moment after it has answered. A client that asks again at
 * once gets the most out of it: with a pause of 1 ms before it, eight clients saw twice the p99 and no more
 * throughput, and with 5 ms half of it.
 */
function cogAsk(pool: Pool, onRetry: () => void): Ask {
  return async (text) => {
    predictions += 1;
    const path = `/predictions/${cogId(predictions)}`;
    const body = JSON.stringify({ input: { text } });
    for (;;) {
      const answer = await pool.request({ method: 'PUT', path, headers: jsonHeaders, body });
      if (answer.statusCode !== 409) return check(await read(answer, 200), text);
      await answer.body.dump();
      onRetry();
      await nextTurn();
    }
  };
}

function mimeoAsk(pool: Pool, target: Extract<Target, { kind: 'mimeo' }>): Ask {
  const headers = { ...jsonHeaders, authorization: `Bearer ${target.token}`, prefer: 'wait' };
  return async (text) => {
    const body = JSON.stringify({ version: target.version, input: { text } });
    check(
      await read(await pool.request({ method: 'POST', path: '/v1/predictions', headers, body }), 201),
      text,
    );
  };
}

function peerAsk(pool: Pool, path: string): Ask {
  return async (text) => {
    const body = JSON.stringify({ text });
    const json = await read(await pool.request({ method: 'POST', path, headers: jsonHeaders, body }), 200);
    if ((JSON.parse(json) as { output?: unknown }).output !== text) throw wrongAnswer(json, text);
  };
}

const jsonHeaders = { 'content-type': 'application/json' };

async function read(answer: Dispatcher.ResponseData, expected: number): Promise<string> {
  const text = await answer.body.text();
  if (answer.statusCode === expected) return text;
  throw new Error(`An answer was ${answer.statusCode} in place of ${expected}: ${text.slice(0, 500)}`);
}

/** The model gives back what it was sent. */
function check(json: string, text: string): void {
  const { status, output } = JSON.parse(json) as { status?: unknown; output?: unknown };
  if (status === 'succeeded' && output === text) return;
  throw wrongAnswer(json, text);
}

function wrongAnswer(json: string, text: string): Error {
  return new Error(`An answer was wrong; ${JSON.stringify(text)} was sent: ${json.slice(0, 500)}`);
}

process.on('message', (round: Round) => {
  runRound(round).then(
    (result) => process.send?.({ result } satisfies LoadAnswer),
    (error: unknown) => process.send?.({ error: String(error) } satisfies LoadAnswer),
  );
});
