import type { ChannelEvent } from './port.ts';

/** An event with its place in the topic's stream, `milliseconds-number`. */
export interface StreamEvent {
  readonly place: string;
  readonly event: ChannelEvent;
}

/** What a stream holds, oldest first. */
export interface Memory {
  readonly events: readonly StreamEvent[];
  /** Whether it has held more. */
  readonly hasDropped: boolean;
}

type Listener = (event: ChannelEvent | undefined) => void;

/** One reader of a topic. */
export interface Reader {
  /** What was remembered when it came; what was heard since and is not among that follows. */
  begin(memory: Memory | undefined): void;
  close(): void;
}

/** The readers of one topic in this process, and how far they have been told. */
export interface Topic {
  readonly name: string;
  /** Whether its messages are heard. */
  isAttached: boolean;
  /** Takes a message: the place of an event that was remembered, or nothing for a ring. */
  readonly signal: (message: string) => void;
  /** Reads what may have been missed, and wakes every reader. */
  catchUp(): void;
  join(listener: Listener): Reader;
  isEmpty(): boolean;
  close(): void;
}

interface Listening {
  readonly listener: Listener;
  /** What came before it has begun, and is still to be told; undefined once it is told at once. */
  waiting: (StreamEvent | undefined)[] | undefined;
  /** The last place of what it was given at its beginning. */
  begunAt: string;
}

const beginning = '0-0';
const ring = '';
/** A message of our own: read to the end. */
const toTheEnd = '+';

/** @param parts.read the events behind a place up to another one, both of the topic's stream */
export function createTopic(parts: {
  readonly name: string;
  read(after: string, upTo: string): Promise<readonly StreamEvent[]>;
  report(error: unknown): void;
}): Topic {
  const readers = new Set<Listening>();
  const messages: string[] = [];
  /** Up to where its stream was read; undefined until the first reader has begun. */
  let readTo: string | undefined;
  let isReading = false;

  function tell(told: StreamEvent | undefined): void {
    for (const reader of [...readers]) {
      if (!readers.has(reader)) continue;
      if (reader.waiting) reader.waiting.push(told);
      else call(reader, told);
    }
  }

  function call(reader: Listening, told: StreamEvent | undefined): void {
    if (told && !isBehind(told.place, reader.begunAt)) return;
    try {
      reader.listener(told?.event);
    } catch (error) {
      console.error(`A listener of ${parts.name} threw, which is a bug:`, error);
    }
  }

  /** Takes the messages in their order, those of events that follow each other in one read. */
  async function drain(): Promise<void> {
    if (isReading || readTo === undefined) return;
    isReading = true;
    try {
      while (messages.length > 0 && readers.size > 0) {
        if (messages[0] === ring) {
          messages.shift();
          tell(undefined);
          continue;
        }
        const nextRing = messages.indexOf(ring);
        const run = messages.splice(0, nextRing < 0 ? messages.length : nextRing);
        await readUpTo(run.includes(toTheEnd) ? toTheEnd : latest(run));
      }
    } catch (error) {
      // Whoever comes back reads on from here; until then the readers look at the Table.
      parts.report(error);
      messages.length = 0;
      tell(undefined);
    } finally {
      isReading = false;
    }
  }

  async function readUpTo(place: string): Promise<void> {
    const from = readTo ?? beginning;
    if (place !== toTheEnd && !isBehind(place, from)) return;
    for (const found of await parts.read(from, place)) {
      readTo = found.place;
      tell(found);
    }
  }

  function signal(message: string): void {
    if (readers.size === 0) return;
    messages.push(message);
    void drain();
  }

  return {
    name: parts.name,
    isAttached: false,
    signal,

    catchUp() {
      signal(toTheEnd);
      signal(ring);
    },

    join(listener) {
      const reader: Listening = { listener, waiting: [], begunAt: beginning };
      readers.add(reader);
      return {
        begin(memory) {
          // Where it could not be read, what was before is for the reader to find elsewhere.
          const last = memory ? (memory.events.at(-1)?.place ?? beginning) : `${Date.now()}-0`;
          reader.begunAt = last;
          readTo ??= last;
          void drain();
          // After whoever asked for the memory has it.
          setImmediate(() => {
            const { waiting = [] } = reader;
            reader.waiting = undefined;
            for (const told of waiting) if (readers.has(reader)) call(reader, told);
          });
        },
        close: () => void readers.delete(reader),
      };
    },

    isEmpty: () => readers.size === 0,

    close() {
      readers.clear();
      messages.length = 0;
    },
  };
}

/** Whether one place comes after another. */
function isBehind(place: string, other: string): boolean {
  const [ms = 0, number = 0] = place.split('-').map(Number);
  const [otherMs = 0, otherNumber = 0] = other.split('-').map(Number);
  return ms > otherMs || (ms === otherMs && number > otherNumber);
}

function latest(places: readonly string[]): string {
  return places.reduce((last, place) => (isBehind(place, last) ? place : last), beginning);
}
