import { setTimeout as sleep } from 'node:timers/promises';
import { createParser, type EventSourceMessage } from 'eventsource-parser';

/** A stream that has been silent for so long is broken: the server sends a comment every 15 s. */
const silenceMs = 45_000;
/** How long a stream may be away before the reader gives up on it. */
const giveUpMs = 30_000;
const firstRetryMs = 200;
const lastRetryMs = 3_000;

/** The stream cannot be had; the prediction itself may be well. */
export class StreamLostError extends Error {}

export interface StreamEvent {
  /** `output`, `logs`, `error` or `done`. */
  readonly event: string;
  readonly data: string;
}

/**
 * The events of a prediction's stream, `done` last. A connection that breaks is taken up again after the last event
 * that arrived. The URL carries its own right to be read, so no token goes with it.
 * @throws StreamLostError where the server refuses the stream or stays away; the reason of `signal` when it aborts
 */
export async function* followStream(url: string, signal: AbortSignal): AsyncGenerator<StreamEvent> {
  let lastEventId: string | undefined;
  let retryMs = firstRetryMs;
  let lostAt: number | undefined;
  for (;;) {
    for await (const message of connect(url, lastEventId, signal)) {
      lastEventId = message.id ?? lastEventId;
      lostAt = undefined;
      retryMs = firstRetryMs;
      yield { event: message.event ?? 'message', data: message.data };
      if (message.event === 'done') return;
    }
    signal.throwIfAborted();
    lostAt ??= performance.now();
    if (performance.now() - lostAt > giveUpMs) throw new StreamLostError('The stream stayed away');
    await sleep(retryMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    retryMs = Math.min(retryMs * 2, lastRetryMs);
  }
}

/** The events of one connection; ends where it breaks, for whatever reason. */
async function* connect(
  url: string,
  lastEventId: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<EventSourceMessage> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), silenceMs);
  const messages: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => messages.push(message) });
  try {
    const response = await fetch(url, {
      headers: {
        accept: 'text/event-stream',
        'cache-control': 'no-store',
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      },
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      // A server that restarts answers 5xx; one that refuses will go on refusing.
      if (response.status >= 500) return;
      throw new StreamLostError(`The stream was refused (${response.status})`);
    }
    const decoder = new TextDecoder();
    for await (const bytes of response.body) {
      timer.refresh();
      parser.feed(decoder.decode(bytes, { stream: true }));
      yield* messages.splice(0);
    }
  } catch (error) {
    if (error instanceof StreamLostError) throw error;
  } finally {
    clearTimeout(timer);
  }
}
