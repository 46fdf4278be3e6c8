import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Channel, type ChannelEvent, memoryBytes } from '../../services/ports/channel/port.ts';
import { connectValkeyChannel } from '../../services/ports/channel/valkey.ts';
import { startValkey, type ValkeyServer } from '../support/valkey.ts';
import { describeChannel } from './channel.ts';

let server: ValkeyServer;

beforeAll(async () => {
  server = await startValkey();
});
afterAll(() => server.stop());

const open = async (at = server) => connectValkeyChannel({ url: at.url, logger: pino({ level: 'silent' }) });

describeChannel(
  'Valkey',
  async () => {
    const channel = await open();
    return { channel, dispose: () => channel.close() };
  },
  { hasOwnTime: false },
);

describe('a channel over Valkey', () => {
  const event = (id: number): ChannelEvent => ({ id: `1.${id}`, type: 'output', data: `${id}` });
  const listen = async (channel: Channel, topic: string, after?: string) => {
    const heard: (string | undefined)[] = [];
    const { replay } = await channel.subscribe(topic, (each) => heard.push(each?.id), after);
    return { heard, replay };
  };

  it('tells the readers of other processes', async () => {
    const [one, two] = await Promise.all([open(), open()]);
    const topic = randomUUID();
    const { heard } = await listen(two, topic);
    for (let id = 1; id <= 50; id += 1) await one.publish(topic, event(id));
    await one.ring(topic);

    await expect
      .poll(() => heard)
      .toEqual([...Array.from({ length: 50 }, (_, at) => `1.${at + 1}`), undefined]);
    await Promise.all([one.close(), two.close()]);
  });

  it('forgets a topic after its time, by the expiry that each event sets anew', async () => {
    const channel = await open();
    const topic = randomUUID();
    await channel.publish(topic, event(1));
    const client = await createClient({ url: server.url }).connect();

    expect(await client.ttl(`mimeo:${topic}`)).toBeGreaterThan(290);
    await client.expire(`mimeo:${topic}`, 10);
    await channel.publish(topic, event(2));
    expect(await client.ttl(`mimeo:${topic}`)).toBeGreaterThan(290);
    client.destroy();
    await channel.close();
  });

  it('goes on after its connection broke, and lacks no event that was published meanwhile', async () => {
    const own = await startValkey();
    const [one, two] = [await open(own), await open(own)];
    const topic = randomUUID();
    const { heard } = await listen(two, topic);
    await one.publish(topic, event(1));
    await expect.poll(() => heard).toEqual(['1.1']);
    const client = await createClient({ url: own.url }).connect();
    const ids = String(await client.sendCommand(['CLIENT', 'LIST', 'TYPE', 'PUBSUB']));
    const reader = /^id=(\d+)/.exec(ids)?.[1] ?? '';
    await client.sendCommand(['CLIENT', 'KILL', 'ID', reader]);
    for (const id of [2, 3, 4]) await one.publish(topic, event(id));

    await expect.poll(() => heard.filter((id) => id !== undefined)).toEqual(['1.1', '1.2', '1.3', '1.4']);
    client.destroy();
    await Promise.all([one.close(), two.close()]);
    await own.stop();
  });

  it('while the server is away, publishing fails nobody, and readers are told of a gap; then all go on', async () => {
    const own = await startValkey();
    const channel = await open(own);
    const topic = randomUUID();
    const { heard } = await listen(channel, topic);
    await own.stop();
    await channel.publish(topic, event(1));
    await channel.ring(topic);
    const late = await listen(channel, topic);
    expect(late.replay).toEqual({ events: [], gap: true });
    await own.start();

    await expect
      .poll(
        async () => {
          await channel.publish(topic, event(2));
          return heard.includes('1.2') && late.heard.includes('1.2');
        },
        { timeout: 10_000 },
      )
      .toBe(true);
    expect(heard).toContain(undefined);
    await channel.close();
    await own.stop();
  });

  it('opens where there is no server, and finds it when it comes', async () => {
    const own = await startValkey();
    await own.stop();
    const channel = await open(own);
    const { heard, replay } = await listen(channel, 'topic');
    expect(replay.gap).toBe(true);
    await own.start();

    await expect
      .poll(
        async () => {
          await channel.publish('topic', event(1));
          return heard;
        },
        { timeout: 10_000 },
      )
      .toContain('1.1');
    await channel.close();
    await own.stop();
  });

  it('a topic that the server has evicted begins anew', async () => {
    const channel = await open();
    const topic = randomUUID();
    const { heard } = await listen(channel, topic);
    await channel.publish(topic, event(1));
    await expect.poll(() => heard).toEqual(['1.1']);
    const client = await createClient({ url: server.url }).connect();
    await client.del(`mimeo:${topic}`);
    await channel.publish(topic, event(2));

    await expect.poll(() => heard).toEqual(['1.1', '1.2']);
    expect((await listen(channel, topic, '1.1')).replay).toEqual({ events: [event(2)], gap: true });
    client.destroy();
    await channel.close();
  });

  it('goes on with a topic that the release before began', async () => {
    const channel = await open();
    const topic = randomUUID();
    const client = await createClient({ url: server.url }).connect();
    await client.xAdd(`mimeo:${topic}`, '*', { i: '1.1', t: 'output', d: '1' });
    await channel.publish(topic, event(2));

    expect((await listen(channel, topic)).replay).toEqual({ events: [event(1), event(2)], gap: false });
    const large = { ...event(3), data: 'x'.repeat(memoryBytes) };
    await channel.publish(topic, large);
    expect((await listen(channel, topic)).replay).toEqual({ events: [large], gap: true });
    client.destroy();
    await channel.close();
  });
});
