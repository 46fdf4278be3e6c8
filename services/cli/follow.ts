import { setTimeout as sleep } from 'node:timers/promises';
import { hasEnded, type PredictionAnswer, predictionAnswer, type Waiting } from './answers.ts';
import { ApiError, type Client, UnreachableError } from './client.ts';
import { followStream, StreamLostError } from './sse.ts';

const firstPollMs = 50;
const lastPollMs = 1_000;
/** How long the server may be away, as when it restarts, before the reader gives up. */
const giveUpMs = 30_000;

/** What a follower is told while a prediction runs. */
export interface Follower {
  /** One chunk of a stream. Called only where the stream is followed. */
  onOutput(text: string): void;
  /** What the model printed since the last call. */
  onLogs(text: string): void;
  /** The prediction as it was at the last look, about once a second until it runs. */
  onLook(prediction: PredictionAnswer): void;
}

/**
 * Follows a prediction by its stream, to its end. Where the stream cannot be had, by asking instead.
 * @returns the prediction at its end
 */
export async function followByStream(
  client: Client,
  prediction: PredictionAnswer,
  streamUrl: string,
  follower: Follower,
  signal: AbortSignal,
): Promise<PredictionAnswer> {
  const looking = new AbortController();
  const looks = look(client, prediction.id, follower, AbortSignal.any([signal, looking.signal]));
  let logged = '';
  try {
    for await (const { event, data } of followStream(streamUrl, signal)) {
      looking.abort();
      if (event === 'output') follower.onOutput(data);
      if (event === 'logs') {
        logged += data;
        follower.onLogs(data);
      }
    }
  } catch (error) {
    if (!(error instanceof StreamLostError)) throw error;
  } finally {
    looking.abort();
    await looks;
  }
  return followByAsking(client, await ask(client, prediction.id, signal), follower, signal, logged);
}

/**
 * Follows a prediction by asking for it again and again, to its end.
 * @param logged what the follower has seen of its logs already
 */
export async function followByAsking(
  client: Client,
  prediction: PredictionAnswer,
  follower: Follower,
  signal: AbortSignal,
  logged = '',
): Promise<PredictionAnswer> {
  let pauseMs = firstPollMs;
  let latest = prediction;
  let seen = logged;
  for (;;) {
    const logs = latest.logs ?? '';
    const fresh = unseenLogs(logs, seen);
    if (fresh) follower.onLogs(fresh);
    seen = logs || seen;
    if (hasEnded(latest)) return latest;
    follower.onLook(latest);
    await pause(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, lastPollMs);
    latest = await ask(client, prediction.id, signal);
  }
}

/**
 * What logs have more than those that were seen. A stream turns every line ending into a plain newline. Logs that do
 * not go on where the seen ones ended are those of another attempt where they are shorter, else cut in the middle.
 */
function unseenLogs(logs: string, seen: string): string {
  const [plainLogs, plainSeen] = [logs, seen].map((text) => text.replace(/\r\n?/g, '\n')) as [string, string];
  if (plainLogs.startsWith(plainSeen)) return plainLogs.slice(plainSeen.length);
  return plainLogs.length < plainSeen.length ? plainLogs : '';
}

/** Looks at a prediction about once a second until it runs, so that a wait can be explained. */
async function look(client: Client, id: string, follower: Follower, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await pause(lastPollMs / 2, signal);
      const prediction = await ask(client, id, signal);
      signal.throwIfAborted();
      if (hasEnded(prediction)) return;
      follower.onLook(prediction);
      await pause(lastPollMs / 2, signal);
    }
  } catch {
    // The stream tells how it goes on; a look only says why it takes so long.
  }
}

/** The prediction as it is now. A server that restarts is waited for. */
async function ask(client: Client, id: string, signal: AbortSignal): Promise<PredictionAnswer> {
  const since = performance.now();
  for (;;) {
    try {
      return await client.call('GET', `/predictions/${id}`, predictionAnswer, { signal });
    } catch (error) {
      if (!isPassing(error) || performance.now() - since > giveUpMs) throw error;
      await pause(lastPollMs, signal);
    }
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 429 || error.status >= 500;
  return error instanceof UnreachableError;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}

const phases: Readonly<Record<string, string>> = {
  queued: 'waiting for a free instance',
  node: 'starting a machine',
  image: "loading the model's image",
  weights: "loading the model's weights",
  setup: 'starting an instance (setup)',
};

/** Why a prediction does not run yet, in two parts: what it waits for, and its changing numbers. */
export function describeWaiting(waiting: Waiting): { message: string; detail: string } {
  const eta = waiting.eta_seconds?.p50;
  const details = [
    waiting.phase === 'queued' && waiting.position ? `place ${waiting.position} in the queue` : '',
    typeof eta === 'number' ? `about ${Math.max(1, Math.round(eta))} s` : '',
  ];
  const phase = phases[waiting.phase] ?? `waiting (${waiting.phase})`;
  return {
    message: waiting.reason ? `${phase}: ${waiting.reason.replace(/\.$/, '')}` : phase,
    detail: details.filter(Boolean).join(', '),
  };
}
