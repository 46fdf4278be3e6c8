import type { Logger } from 'pino';
import { createClient, defineScript } from 'redis';
import { firstConnection, valkeyClientOptions, valkeyReporter } from '../valkey-client.ts';
import {
  type Channel,
  type ChannelEvent,
  memoryBytes,
  memoryEvents,
  memorySeconds,
  type Replay,
  type Subscription,
} from './port.ts';
import { createTopic, type Memory, type StreamEvent, type Topic } from './valkey-topic.ts';

export interface ValkeyChannelOptions {
  /** `rediss://[user:password@]host:6379`; ElastiCache Serverless answers for all slots on this one connection. */
  readonly url: string;
  /** What every key and channel begins with. @default mimeo: */
  readonly prefix?: string;
  readonly logger: Logger;
}

const commandMs = 2000;

/**
 * Remembers an event and tells of it, in one round trip: the message is the event's place in the stream. An entry says in
 * `p` how many bytes were published before it, by which the script knows what the stream holds, and a reader whether
 * anything was before the oldest. An entry of the release before has none.
 */
const publishScript = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: `local function bytes(event) return #event[2] + #event[4] + #event[6] end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local before = 0
if last then before = last[2][8] and last[2][8] + bytes(last[2]) or 1 end
local place = redis.call('XADD', KEYS[1], 'MAXLEN', '=', ARGV[1], '*',
  'i', ARGV[4], 't', ARGV[5], 'd', ARGV[6], 'p', string.format('%.0f', before))
local after = before + #ARGV[4] + #ARGV[5] + #ARGV[6]
local most = tonumber(ARGV[3])
while after > most do
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if oldest[1] == place or after - (oldest[2][8] or 0) <= most then break end
  redis.call('XDEL', KEYS[1], oldest[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', KEYS[1], place)
return place`,
  parseCommand(parser, key: string, { id, type, data }: ChannelEvent) {
    parser.pushKey(key);
    parser.push(String(memoryEvents), String(memorySeconds), String(memoryBytes), id, type, data);
  },
  transformReply: undefined as unknown as () => string,
});

/**
 * A channel over Valkey, or Redis 7. A stream per topic is the memory; its messages, which hold no event, are the
 * doorbell: what a slow connection does not read costs the server next to nothing. While Valkey is away, what is
 * published is lost and readers are told of a gap; when it is back, each reader is woken.
 */
export async function connectValkeyChannel(options: ValkeyChannelOptions): Promise<Channel> {
  const { url, prefix = 'mimeo:', logger } = options;
  const client = createClient({
    ...valkeyClientOptions({ url, commandMs }),
    scripts: { publishEvent: publishScript },
  });
  const topics = new Map<string, Topic>();
  let isClosed = false;

  const warn = valkeyReporter(logger, 'Valkey is not to be had; predictions go on without live events');
  const report = (error: unknown) => {
    if (!isClosed) warn(error);
  };
  client.on('error', report);
  client.on('ready', () => {
    for (const topic of topics.values()) void attach(topic).then(() => topic.catchUp());
  });

  async function attach(topic: Topic): Promise<void> {
    if (topic.isAttached) return;
    try {
      await client.subscribe(prefix + topic.name, topic.signal);
      topic.isAttached = true;
      if (topics.get(topic.name) !== topic) await client.unsubscribe(prefix + topic.name, topic.signal);
    } catch (error) {
      report(error);
    }
  }

  function topicOf(name: string): Topic {
    let topic = topics.get(name);
    if (topic === undefined) {
      topic = createTopic({
        name,
        async read(after, upTo) {
          const found = await client.xRange(prefix + name, `(${after}`, upTo);
          return (found ?? []).map(toEvent);
        },
        report,
      });
      topics.set(name, topic);
    }
    return topic;
  }

  function leave(topic: Topic): void {
    if (!topic.isEmpty() || topics.get(topic.name) !== topic) return;
    topics.delete(topic.name);
    if (topic.isAttached) client.unsubscribe(prefix + topic.name, topic.signal).catch(report);
  }

  /** What is remembered of a topic; undefined where that cannot be told now. */
  async function readMemory(name: string): Promise<Memory | undefined> {
    try {
      const found = (await client.xRange(prefix + name, '-', '+')) ?? [];
      return { events: found.map(toEvent), hasDropped: hasDropped(found) };
    } catch (error) {
      report(error);
      return undefined;
    }
  }

  async function send(call: () => Promise<unknown>): Promise<void> {
    if (isClosed) return;
    await call().catch(report);
  }

  await firstConnection(client, report);

  return {
    publish: (name, event) => send(async () => client.publishEvent(prefix + name, event)),

    ring: (name) => send(async () => client.publish(prefix + name, '')),

    async subscribe(name, listener, after): Promise<Subscription> {
      if (isClosed) throw new Error('The channel is closed');
      const topic = topicOf(name);
      const reader = topic.join(listener);
      // First listen, then read: nothing falls between the two.
      await attach(topic);
      const memory = await readMemory(name);
      reader.begin(memory);
      return {
        replay: memory ? replayOf(memory, after) : { events: [], gap: true },
        close() {
          reader.close();
          leave(topic);
        },
      };
    },

    async close() {
      if (isClosed) return;
      isClosed = true;
      for (const topic of topics.values()) topic.close();
      topics.clear();
      client.destroy();
    },
  };
}

/** An entry of a stream, with its fields. */
interface Entry {
  readonly id: string;
  readonly message: Readonly<Record<string, string>>;
}

/** Whether a stream has held more than what is found in it. */
function hasDropped(found: readonly Entry[]): boolean {
  const before = found[0]?.message.p;
  return before === undefined ? found.length >= memoryEvents : before !== '0';
}

function toEvent({ id: place, message }: Entry): StreamEvent {
  return { place, event: { id: message.i ?? '', type: message.t ?? '', data: message.d ?? '' } };
}

function replayOf({ events, hasDropped }: Memory, after: string | undefined): Replay {
  const at = after === undefined ? -1 : events.findLastIndex(({ event }) => event.id === after);
  const isKnown = at >= 0;
  return {
    events: events.slice(at + 1).map(({ event }) => event),
    gap: after === undefined ? hasDropped : !isKnown,
  };
}
