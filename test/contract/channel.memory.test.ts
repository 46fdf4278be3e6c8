import { describe, expect, it, vi } from 'vitest';
import { createMemoryChannel, memoryCharacters } from '../../services/ports/channel/memory.ts';
import { type ChannelEvent, memoryBytes, memorySeconds } from '../../services/ports/channel/port.ts';
import { describeChannel } from './channel.ts';

describeChannel('memory', async () => {
  let nowMs = Date.now();
  const channel = createMemoryChannel({ now: () => nowMs });
  return {
    channel,
    async passSeconds(seconds) {
      nowMs += seconds * 1000;
    },
    dispose: () => channel.close(),
  };
});

const event: ChannelEvent = { id: '1.1', type: 'output', data: 'x' };

describe('a channel in memory', () => {
  it('tells a listener within the call that publishes', async () => {
    const channel = createMemoryChannel();
    const heard: unknown[] = [];
    await channel.subscribe('t', (each) => heard.push(each));
    void channel.publish('t', event);

    expect(heard).toEqual([event]);
    await channel.close();
  });

  it('calls no listener that another one has closed in the same call', async () => {
    const channel = createMemoryChannel();
    const heard: unknown[] = [];
    await channel.subscribe('t', () => second.close());
    const second = await channel.subscribe('t', (each) => heard.push(each));
    await channel.publish('t', event);

    expect(heard).toEqual([]);
    await channel.close();
  });

  it('does not fail the writer or the other readers when a listener throws', async () => {
    const report = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const channel = createMemoryChannel();
    const heard: unknown[] = [];
    const error = new Error('a bug');
    await channel.subscribe('t', () => {
      throw error;
    });
    await channel.subscribe('t', (each) => heard.push(each));
    await channel.publish('t', event);

    expect(heard).toEqual([event]);
    expect(report).toHaveBeenCalledWith(expect.stringContaining('t threw'), error);
    report.mockRestore();
    await channel.close();
  });

  it('whoever subscribes in a listener has the event once', async () => {
    const channel = createMemoryChannel();
    const seen: unknown[] = [];
    const inner = Promise.withResolvers<void>();
    const outer = await channel.subscribe('t', () => {
      outer.close();
      void channel
        .subscribe('t', (each) => seen.push(each))
        .then(({ replay }) => {
          seen.push(...replay.events);
          inner.resolve();
        });
    });
    await channel.publish('t', event);
    await inner.promise;

    expect(seen).toEqual([event]);
    await channel.close();
  });

  it('forgets the topic that was silent longest when it remembers too much', async () => {
    const channel = createMemoryChannel();
    const data = 'x'.repeat(memoryBytes / 2);
    const topics = Array.from({ length: memoryCharacters / data.length }, (_, at) => `t${at}`);
    for (const topic of topics) await channel.publish(topic, { ...event, data });
    await channel.publish('t0', { id: '1.2', type: 'output', data: '' });
    await channel.publish('another', { ...event, data });

    const replays = await Promise.all(
      ['t0', 't1', 't2', topics.at(-1) ?? '', 'another'].map(async (topic) => {
        const { replay } = await channel.subscribe(topic, () => undefined, event.id);
        return [replay.events.length, replay.gap];
      }),
    );

    expect(replays).toEqual([
      [1, false],
      [0, true],
      [0, false],
      [0, false],
      [0, false],
    ]);
    await channel.close();
  });

  it('runs no timer while it remembers nothing', async () => {
    vi.useFakeTimers();
    try {
      const channel = createMemoryChannel();
      const subscription = await channel.subscribe('t', () => undefined);
      expect(vi.getTimerCount()).toBe(0);
      await channel.publish('t', event);
      expect(vi.getTimerCount()).toBe(1);
      await vi.advanceTimersByTimeAsync((memorySeconds + 10) * 1000);
      expect(vi.getTimerCount()).toBe(0);

      await channel.publish('t', event);
      expect((await channel.subscribe('t', () => undefined)).replay).toEqual({ events: [event], gap: false });
      subscription.close();
      await channel.close();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
