import { createParser, type EventSourceMessage } from 'eventsource-parser';

export type { EventSourceMessage };

/** The events of a stream as they come, to its end or until `signal` drops the connection. */
export async function* readEvents(
  url: string,
  options: { readonly lastEventId?: string; readonly signal?: AbortSignal } = {},
): AsyncGenerator<EventSourceMessage> {
  const { lastEventId, signal } = options;
  const response = await fetch(url, {
    headers: {
      accept: 'text/event-stream',
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    signal,
  });
  yield* eventsOf(response);
}

/** The events of an answer as they come. */
export async function* eventsOf(response: Response): AsyncGenerator<EventSourceMessage> {
  if (!response.ok || !response.body) throw new Error(`${response.status} ${await response.text()}`);
  const ready: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => ready.push(event) });
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    parser.feed(chunk);
    yield* ready.splice(0);
  }
}

/** All events of a stream that goes to its end. */
export async function allEvents(url: string, lastEventId?: string): Promise<EventSourceMessage[]> {
  return Array.fromAsync(readEvents(url, { lastEventId }));
}

/** The data of the `output` events. */
export function outputs(events: readonly EventSourceMessage[]): string[] {
  return events.filter(({ event }) => event === 'output').map(({ data }) => data);
}
