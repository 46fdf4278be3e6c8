import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Channel,
  type ChannelEvent,
  memoryBytes,
  memoryEvents,
  memorySeconds,
} from '../../services/ports/channel/port.ts';

export interface ChannelUnderTest {
  readonly channel: Channel;
  /** Lets time pass, as the channel knows it; for channels whose clock is the test's own. */
  passSeconds?(seconds: number): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Everything that `Channel` promises. The tests share no topic, so that they may share a channel.
 * @param options.hasOwnTime whether time can be made to pass
 */
export function describeChannel(
  name: string,
  makeChannel: () => Promise<ChannelUnderTest>,
  { hasOwnTime = true }: { readonly hasOwnTime?: boolean } = {},
): void {
  describe(`the channel contract: ${name}`, () => {
    let underTest: ChannelUnderTest;
    let channel: Channel;
    let topic: string;

    beforeEach(async () => {
      underTest = await makeChannel();
      channel = underTest.channel;
      topic = `topic-${randomUUID()}`;
    });
    afterEach(() => underTest.dispose());

    const event = (id: number | string): ChannelEvent => ({
      id: `1.${id}`,
      type: 'output',
      data: `data ${id}\n☃`,
    });
    const publish = (id: number | string) => channel.publish(topic, event(id));
    const publishAll = async (from: number, to: number) => {
      for (let id = from; id <= to; id += 1) await publish(id);
    };
    const events = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, at) => event(from + at));
    /** Subscribes and collects what the listener is called with. */
    const listen = async (after?: string) => {
      const heard: (ChannelEvent | undefined)[] = [];
      const subscription = await channel.subscribe(topic, (each) => heard.push(each), after);
      return { heard, ...subscription };
    };
    const replay = async (after?: string) => {
      const subscription = await listen(after);
      subscription.close();
      return subscription.replay;
    };

    describe('live', () => {
      it('tells whoever listens, in the order of publication', async () => {
        const one = await listen();
        const two = await listen();
        await publishAll(1, 100);

        await expect.poll(() => one.heard).toEqual(events(1, 100));
        await expect.poll(() => two.heard).toEqual(events(1, 100));
      });

      it('tells nobody of another topic', async () => {
        const other = await listen();
        await channel.publish(`${topic}-other`, event(1));
        await publish(2);

        await expect.poll(() => other.heard).toEqual([event(2)]);
      });

      it('calls no listener after its close, and closing twice does nothing', async () => {
        const closed = await listen();
        const open = await listen();
        closed.close();
        closed.close();
        await publish(1);
        await channel.ring(topic);

        await expect.poll(() => open.heard).toEqual([event(1), undefined]);
        expect(closed.heard).toEqual([]);
      });

      it('keeps two subscriptions of one function apart', async () => {
        const heard: unknown[] = [];
        const listener = (each: ChannelEvent | undefined) => heard.push(each);
        const first = await channel.subscribe(topic, listener);
        await channel.subscribe(topic, listener);
        first.close();
        await publish(1);

        await expect.poll(() => heard).toEqual([event(1)]);
      });

      it('publishing and ringing where nobody listens is no error', async () => {
        await publish(1);
        await channel.ring(topic);
      });

      it('keeps the order for all when a listener publishes', async () => {
        const answering = await channel.subscribe(topic, (each) => {
          if (each?.id === '1.1') void publish(2);
        });
        const { heard } = await listen();
        await publish(1);

        await expect.poll(() => heard).toEqual([event(1), event(2)]);
        answering.close();
      });

      it('a listener may close itself and others', async () => {
        const second = Promise.withResolvers<{ close(): void }>();
        const heard: string[] = [];
        const first = await channel.subscribe(topic, async () => {
          heard.push('first');
          first.close();
          (await second.promise).close();
        });
        const last = await listen();
        second.resolve(await channel.subscribe(topic, () => heard.push('second')));
        await publish(1);
        await expect.poll(() => last.heard.length).toBe(1);
        await publish(2);

        await expect.poll(() => last.heard).toEqual([event(1), event(2)]);
        expect(heard.filter((who) => who === 'first')).toHaveLength(1);
        expect(heard.filter((who) => who === 'second')).toHaveLength(1);
      });
    });

    describe('a ring', () => {
      it('wakes whoever listens, with nothing in it', async () => {
        const { heard } = await listen();
        await channel.ring(topic);

        await expect.poll(() => heard).toEqual([undefined]);
      });

      it('is not remembered', async () => {
        await channel.ring(topic);
        await publish(1);
        await channel.ring(topic);

        expect(await replay()).toEqual({ events: [event(1)], gap: false });
      });

      it('keeps its place among the events', async () => {
        const { heard } = await listen();
        await publish(1);
        await channel.ring(topic);
        await publish(2);

        await expect.poll(() => heard).toEqual([event(1), undefined, event(2)]);
      });
    });

    describe('the replay', () => {
      it('of a topic where nothing happened is empty, without a gap', async () => {
        expect(await replay()).toEqual({ events: [], gap: false });
      });

      it('without a place to start is everything that is remembered', async () => {
        await publishAll(1, 5);

        expect(await replay()).toEqual({ events: events(1, 5), gap: false });
      });

      it('is what came after the last event that the reader has seen', async () => {
        await publishAll(1, 5);

        expect(await replay('1.1')).toEqual({ events: events(2, 5), gap: false });
        expect(await replay('1.4')).toEqual({ events: [event(5)], gap: false });
        expect(await replay('1.5')).toEqual({ events: [], gap: false });
      });

      it('has a gap where the last event that the reader has seen is unknown', async () => {
        expect(await replay('1.1')).toEqual({ events: [], gap: true });
        await publishAll(1, 3);

        expect(await replay('0.9')).toEqual({ events: events(1, 3), gap: true });
      });

      it('is given before the listener is called, and the two overlap nowhere and lack nothing', async () => {
        await publishAll(1, 3);
        const subscribing = listen('1.1');
        const publishing = publishAll(4, 6);
        const [subscription] = await Promise.all([subscribing, publishing]);

        await expect.poll(() => [...subscription.replay.events, ...subscription.heard]).toEqual(events(2, 6));
      });

      it('goes back as far as the memory, and tells where that is not far enough', async () => {
        await publishAll(1, memoryEvents);
        expect((await replay()).gap).toBe(false);
        expect((await replay('1.1')).gap).toBe(false);

        await publishAll(memoryEvents + 1, memoryEvents + 10);
        const reaching = await replay('1.11');
        expect(reaching.gap).toBe(false);
        expect(reaching.events).toEqual(events(12, memoryEvents + 10));
        expect(await replay(`1.${memoryEvents + 8}`)).toEqual({
          events: events(memoryEvents + 9, memoryEvents + 10),
          gap: false,
        });

        for (const after of [undefined, '1.10', '1.1']) {
          const whole = await replay(after);
          expect(whole.gap).toBe(true);
          expect(whole.events).toEqual(events(11, memoryEvents + 10));
        }
      });

      describe('of large events', () => {
        const large = (id: number, share: number): ChannelEvent => ({
          id: `1.${id}`,
          type: 'output',
          data: 'x'.repeat(memoryBytes * share),
        });
        const idsOf = async (after?: string) => {
          const { events: found, gap } = await replay(after);
          return [found.map(({ id }) => id), gap];
        };

        it('goes back as far as so many bytes, and tells where that is not far enough', async () => {
          for (let id = 1; id <= 3; id += 1) await channel.publish(topic, large(id, 0.3));
          expect(await idsOf()).toEqual([['1.1', '1.2', '1.3'], false]);
          await channel.publish(topic, large(4, 0.3));
          expect(await idsOf()).toEqual([['1.2', '1.3', '1.4'], true]);
          await channel.publish(topic, large(5, 0.5));
          expect(await idsOf()).toEqual([['1.4', '1.5'], true]);
          await publish(6);

          expect(await idsOf()).toEqual([['1.4', '1.5', '1.6'], true]);
          expect(await idsOf('1.4')).toEqual([['1.5', '1.6'], false]);
          expect(await idsOf('1.3')).toEqual([['1.4', '1.5', '1.6'], true]);
        });

        it('has the last event, however large that is', async () => {
          await publish(1);
          await channel.publish(topic, large(2, 1.2));
          expect(await idsOf()).toEqual([['1.2'], true]);
          await publish(3);

          expect(await idsOf()).toEqual([['1.3'], true]);
        });

        it('forgets small events by their number still', async () => {
          await channel.publish(topic, large(0, 0.9));
          await publishAll(1, memoryEvents);
          const whole = await replay();

          expect(whole).toMatchObject({ events: { length: memoryEvents }, gap: true });
          expect(whole.events.at(0)).toEqual(event(1));
        });
      });

      it('whoever comes back at any time, any number of times, has every event once', async () => {
        let run = 0;
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.constantFrom('publish', 'ring', 'leave'), { maxLength: 40 }),
            async (steps) => {
              run += 1;
              const name = `${topic}-${run}`;
              const seen: string[] = [];
              const hear = (each: ChannelEvent | undefined) => {
                if (each !== undefined) seen.push(each.id);
              };
              let subscription: { close(): void } | undefined;
              const come = async () => {
                const next = await channel.subscribe(name, hear, seen.at(-1));
                expect(next.replay.gap).toBe(false);
                seen.push(...next.replay.events.map(({ id }) => id));
                subscription = next;
              };
              let published = 0;
              for (const step of steps) {
                if (step === 'publish') {
                  published += 1;
                  await channel.publish(name, event(published));
                } else if (step === 'ring') {
                  await channel.ring(name);
                } else if (subscription === undefined) {
                  await come();
                } else {
                  subscription.close();
                  subscription = undefined;
                }
              }
              if (subscription === undefined) await come();
              await expect.poll(() => seen).toEqual(events(1, published).map(({ id }) => id));
              subscription?.close();
            },
          ),
          { numRuns: 50 },
        );
      });
    });

    if (hasOwnTime)
      describe('forgetting', () => {
        it('keeps a topic for a while after its last event, and forgets it then', async () => {
          if (underTest.passSeconds === undefined) throw new Error('The time of this channel cannot be set');
          await publish(1);
          await underTest.passSeconds(memorySeconds - 1);
          await publish(2);
          await underTest.passSeconds(memorySeconds - 1);
          expect(await replay()).toEqual({ events: events(1, 2), gap: false });
          await underTest.passSeconds(1);

          expect(await replay()).toEqual({ events: [], gap: false });
          expect(await replay('1.2')).toEqual({ events: [], gap: true });
        });

        it('a ring or a reader does not prolong the memory', async () => {
          if (underTest.passSeconds === undefined) throw new Error('The time of this channel cannot be set');
          await publish(1);
          await underTest.passSeconds(memorySeconds - 1);
          const { heard } = await listen();
          await channel.ring(topic);
          await underTest.passSeconds(1);

          expect(await replay()).toEqual({ events: [], gap: false });
          await publish(2);
          expect(heard).toEqual([undefined, event(2)]);
          expect(await replay()).toEqual({ events: [event(2)], gap: false });
        });
      });

    it('calls no listener once it is closed', async () => {
      const { heard } = await listen();
      await publish(1);
      await expect.poll(() => heard.length).toBe(1);
      await channel.close();
      await publish(2).catch(() => undefined);
      await channel.ring(topic).catch(() => undefined);

      expect(heard).toEqual([event(1)]);
    });
  });
}
