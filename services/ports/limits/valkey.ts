import type { Logger } from 'pino';
import { createClient, defineScript } from 'redis';
import { takeRequest, verdictOf } from '../../core/rate-limit.ts';
import { firstConnection, valkeyClientOptions, valkeyReporter } from '../valkey-client.ts';
import { type Limits, placeSeconds } from './port.ts';

/** A limit that takes longer is not worth waiting for. */
const commandMs = 250;

/** `takeRequest` of core/rate-limit.ts by the server's own clock. Returns whether it is let through, and what is left. */
const takeScript = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: `local perMinute = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'l', 'a')
local at = math.max(tonumber(known[2]) or now, now)
local left = math.min(perMinute, (tonumber(known[1]) or perMinute) + (at - (tonumber(known[2]) or now)) * perMinute / 60000)
local allowed = left >= 1 and 1 or 0
left = left - allowed
redis.call('HSET', KEYS[1], 'l', tostring(left), 'a', at)
redis.call('PEXPIRE', KEYS[1], 120000)
return {tostring(allowed), tostring(left)}`,
  parseCommand(parser, bucket: string, perMinute: number) {
    parser.pushKey(bucket);
    parser.push(String(perMinute));
  },
  transformReply: undefined as unknown as () => [string, string],
});

const enterScript = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: `if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now * 1000 - ARGV[3] * 1000)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1`,
  parseCommand(parser, group: string, place: string, most: number) {
    parser.pushKey(group);
    parser.push(place, String(most), String(placeSeconds));
  },
  transformReply: undefined as unknown as () => number,
});

const oldestScript = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: `local time = redis.call('TIME')
local before = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
return redis.call('ZRANGE', KEYS[1], '-inf', before, 'BYSCORE', 'LIMIT', 0, ARGV[2])`,
  parseCommand(parser, group: string, ageMs: number, limit: number) {
    parser.pushKey(group);
    parser.push(String(ageMs), String(limit));
  },
  transformReply: undefined as unknown as () => string[],
});

/** Limits over Valkey, or Redis 7: one call each, by one script, so that no two processes count past each other. */
export async function connectValkeyLimits(options: {
  readonly url: string;
  /** What every key begins with. @default mimeo:limits: */
  readonly prefix?: string;
  readonly logger: Logger;
}): Promise<Limits> {
  const { url, prefix = 'mimeo:limits:', logger } = options;
  let isClosed = false;
  const warn = valkeyReporter(logger, 'Valkey is not to be had; nothing is limited');
  const report = (error: unknown) => {
    if (!isClosed) warn(error);
  };
  const client = createClient({
    ...valkeyClientOptions({ url, commandMs }),
    scripts: { takeRequest: takeScript, enterGroup: enterScript, oldestOf: oldestScript },
  });
  client.on('error', report);
  await firstConnection(client, report);

  async function orElse<T>(call: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await call();
    } catch (error) {
      report(error);
      return otherwise;
    }
  }

  return {
    async takeRequest(bucket, limit) {
      const reply = await orElse(
        async () => client.takeRequest(`${prefix}rate:${bucket}`, limit.perMinute),
        undefined,
      );
      if (!reply) return takeRequest(limit, undefined, Date.now());
      const [allowed, left] = reply;
      return verdictOf(limit, { left: Number(left), at: Date.now() }, allowed === '1');
    },
    enter: async (group, place, most) =>
      (await orElse(async () => client.enterGroup(`${prefix}places:${group}`, place, most), 1)) === 1,
    leave: async (group, place) =>
      void (await orElse(() => client.zRem(`${prefix}places:${group}`, place), 0)),
    oldest: async (group, ageMs, limit) =>
      orElse<readonly string[]>(async () => client.oldestOf(`${prefix}places:${group}`, ageMs, limit), []),
    async close() {
      if (isClosed) return;
      isClosed = true;
      client.destroy();
    },
  };
}
