import {
  type Channel,
  type ChannelEvent,
  memoryBytes,
  memoryEvents,
  memorySeconds,
  type Replay,
  type Subscription,
} from './port.ts';

/** How often topics are looked through for those to forget. */
const sweepMs = 10_000;
/** Characters of data that all topics together remember; the topic that was silent longest is forgotten first. */
export const memoryCharacters = 128 * 1024 * 1024;

type Listener = (event: ChannelEvent | undefined) => void;

/** One call of `subscribe`; an object of its own, so that one function may listen twice. */
interface Listening {
  readonly listener: Listener;
}

interface Topic {
  readonly listening: Set<Listening>;
  memory: Memory | undefined;
  /** What came while the listeners were being told of something else; undefined while they are not. */
  pending: (ChannelEvent | undefined)[] | undefined;
}

/** The last events of a topic. */
interface Memory {
  /** Those before `start` are forgotten, and taken out many at a time. */
  readonly events: (ChannelEvent | undefined)[];
  /** Place of the oldest event. */
  start: number;
  hasDropped: boolean;
  /** Of the events' data. */
  characters: number;
  /** Epoch ms. */
  forgetAt: number;
}

const done: Promise<void> = Promise.resolve();

/**
 * A channel among the parts of one process.
 * @param options.now epoch milliseconds
 */
export function createMemoryChannel(options: { readonly now?: () => number } = {}): Channel {
  const { now = Date.now } = options;
  const topics = new Map<string, Topic>();
  /** Topics with a memory, the one whose last event is the oldest first. */
  const remembered = new Map<string, Memory>();
  /** Of all that is remembered. */
  let characters = 0;
  let isClosed = false;
  let sweepTimer: NodeJS.Timeout | undefined;

  function topicOf(name: string): Topic {
    let topic = topics.get(name);
    if (topic === undefined) {
      topic = { listening: new Set(), memory: undefined, pending: undefined };
      topics.set(name, topic);
    }
    return topic;
  }

  function remember(name: string, topic: Topic, event: ChannelEvent): void {
    if (liveMemory(topic) === undefined) forget(name);
    const memory = topic.memory ?? { events: [], start: 0, hasDropped: false, characters: 0, forgetAt: 0 };
    topic.memory = memory;
    memory.forgetAt = now() + memorySeconds * 1000;
    memory.events.push(event);
    memory.characters += event.data.length;
    characters += event.data.length - forgetOldest(memory);
    remembered.delete(name);
    remembered.set(name, memory);
    for (const [oldest] of remembered) {
      if (characters <= memoryCharacters || oldest === name) break;
      forget(oldest);
    }
    if (sweepTimer === undefined) sweepTimer = setInterval(sweep, sweepMs).unref();
  }

  function liveMemory(topic: Topic | undefined): Memory | undefined {
    const memory = topic?.memory;
    return memory !== undefined && memory.forgetAt > now() ? memory : undefined;
  }

  function forget(name: string): void {
    characters -= remembered.get(name)?.characters ?? 0;
    remembered.delete(name);
    const topic = topics.get(name);
    if (topic === undefined) return;
    topic.memory = undefined;
    dropIfIdle(name, topic);
  }

  function sweep(): void {
    for (const [name, memory] of remembered) {
      if (memory.forgetAt > now()) break;
      forget(name);
    }
    if (remembered.size > 0) return;
    clearInterval(sweepTimer);
    sweepTimer = undefined;
  }

  function dropIfIdle(name: string, topic: Topic): void {
    if (topic.listening.size === 0 && topic.memory === undefined && topic.pending === undefined) {
      topics.delete(name);
    }
  }

  /** A listener may itself publish: that waits its turn, so that all listeners see one order. */
  function tell(name: string, topic: Topic, event: ChannelEvent | undefined): void {
    if (topic.pending !== undefined) {
      topic.pending.push(event);
      return;
    }
    topic.pending = [event];
    try {
      // The array grows under the loop.
      for (const next of topic.pending) {
        if (next !== undefined) remember(name, topic, next);
        // A copy: who subscribes from now on finds `next` in the replay.
        for (const subscriber of [...topic.listening]) {
          if (topic.listening.has(subscriber)) call(name, subscriber, next);
        }
      }
    } finally {
      topic.pending = undefined;
      dropIfIdle(name, topic);
    }
  }

  return {
    publish(name, event) {
      if (!isClosed) tell(name, topicOf(name), event);
      return done;
    },

    ring(name) {
      const topic = topics.get(name);
      if (topic !== undefined && topic.listening.size > 0) tell(name, topic, undefined);
      return done;
    },

    async subscribe(name, listener, after): Promise<Subscription> {
      if (isClosed) throw new Error('The channel is closed');
      const topic = topicOf(name);
      const replay = replayOf(liveMemory(topic), after);
      const subscriber: Listening = { listener };
      topic.listening.add(subscriber);
      return {
        replay,
        close() {
          if (!topic.listening.delete(subscriber)) return;
          if (topics.get(name) === topic) dropIfIdle(name, topic);
        },
      };
    },

    async close() {
      isClosed = true;
      clearInterval(sweepTimer);
      for (const topic of topics.values()) topic.listening.clear();
      topics.clear();
      remembered.clear();
    },
  };
}

/** A reader's bug must not fail the writer or the other readers. */
function call(name: string, { listener }: Listening, event: ChannelEvent | undefined): void {
  try {
    listener(event);
  } catch (error) {
    console.error(`A listener of ${name} threw, which is a bug:`, error);
  }
}

/** Forgets what a topic holds too much, the oldest first. @returns characters of what was forgotten */
function forgetOldest(memory: Memory): number {
  const { events } = memory;
  const before = memory.characters;
  for (;;) {
    const count = events.length - memory.start;
    if (count <= memoryEvents && (count === 1 || memory.characters <= memoryBytes)) break;
    memory.characters -= events[memory.start]?.data.length ?? 0;
    events[memory.start] = undefined;
    memory.start += 1;
    memory.hasDropped = true;
  }
  if (memory.start >= memoryEvents) memory.start -= events.splice(0, memory.start).length;
  return before - memory.characters;
}

function replayOf(memory: Memory | undefined, after: string | undefined): Replay {
  if (memory === undefined) return { events: [], gap: after !== undefined };
  const { start } = memory;
  // From the newest: a reader who comes back has mostly seen nearly everything.
  const seen = after === undefined ? -1 : memory.events.findLastIndex((event) => event?.id === after);
  const events = memory.events.slice(Math.max(start, seen + 1)).filter((event) => event !== undefined);
  if (seen >= 0) return { events, gap: false };
  return { events, gap: after !== undefined || memory.hasDropped };
}
