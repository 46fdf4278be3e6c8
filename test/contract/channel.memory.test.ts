import { describe, expect, it, vi } from 'vitest';
import { createMemoryChannel, memoryCharacters } from '../../services/ports/channel/memory.ts';
import { type ChannelEvent, memorySeconds } from '../../services/ports/channel/port.ts';
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
    const data = 'x'.repeat(memoryCharacters / 4);
    for (const topic of ['a', 'b', 'c', 'd']) await channel.publish(topic, { ...event, data });
    await channel.publish('a', { id: '1.2', type: 'output', data: '' });
    await channel.publish('e', { ...event, data });

    const replays = await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map(async (topic) => {
        const { replay } = await channel.subscribe(topic, () => undefined, event.id);
        return [topic, replay.events.length, replay.gap];
      }),
    );

    expect(replays).toEqual([
      ['a', 1, false],
      ['b', 0, true],
      ['c', 0, false],
      ['d', 0, false],
      ['e', 0, false],
    ]);
    await channel.close();
  });

  it('keeps the one topic that is larger than all should be', async () => {
    const channel = createMemoryChannel();
    const data = 'x'.repeat(memoryCharacters / 2);
    for (const id of ['1.1', '1.2', '1.3']) await channel.publish('t', { ...event, id, data });

    const { replay } = await channel.subscribe('t', () => undefined);
    expect(replay).toMatchObject({ events: { length: 3 }, gap: false });
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
