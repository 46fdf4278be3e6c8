import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  maxDelaySeconds,
  maxWaitSeconds,
  type Queue,
  type Received,
  visibilitySeconds as usualVisibilitySeconds,
} from '../../services/ports/queue/port.ts';

export interface QueueUnderTest {
  readonly queue: Queue;
  /** Lets time pass, as the queue knows it: at once where the clock is the test's own. */
  passSeconds(seconds: number): Promise<void>;
  /** Closes the queue and opens it again, as a new process would; for queues that a process owns. */
  reopen?(): Promise<Queue>;
  dispose(): Promise<void>;
}

export interface QueueTraits {
  /** After how long what was received and not removed comes back: short where the time is real. @default 30 */
  readonly visibilitySeconds?: number;
  /** Whether the queue belongs to one process, which may be started again. @default true */
  readonly reopens?: boolean;
  /** Whether groups take turns and each keeps its order, beyond what the port promises. @default true */
  readonly takesTurns?: boolean;
}

/** Everything that `Queue` promises. The tests share no pool, so that they may share a queue. */
export function describeQueue(
  name: string,
  makeQueue: () => Promise<QueueUnderTest>,
  { visibilitySeconds = usualVisibilitySeconds, reopens = true, takesTurns = true }: QueueTraits = {},
): void {
  describe(`the queue contract: ${name}`, () => {
    let underTest: QueueUnderTest;
    let queue: Queue;
    let pool: string;

    beforeEach(async () => {
      underTest = await makeQueue();
      queue = underTest.queue;
      pool = `pool-${randomUUID()}`;
    });
    afterEach(() => underTest.dispose());

    const send = (jobId: string, group = 'ada', delaySeconds?: number) =>
      queue.send(pool, { jobId, group }, delaySeconds === undefined ? undefined : { delaySeconds });
    const receive = (waitSeconds = 0, signal?: AbortSignal) => queue.receive(pool, { waitSeconds, signal });
    /** Receives and removes everything that can be had now. */
    const drain = async (): Promise<string[]> => {
      const jobIds: string[] = [];
      for (let message = await receive(); message !== undefined; message = await receive()) {
        jobIds.push(message.jobId);
        await message.remove();
      }
      return jobIds;
    };

    it('hands out what was sent, with its group', async () => {
      await send('job', 'grace');

      expect(await receive()).toMatchObject({ jobId: 'job', group: 'grace' });
    });

    it('has nothing in a pool that nothing was sent to', async () => {
      await send('job');

      expect(await queue.receive(`${pool}-other`, { waitSeconds: 0 })).toBeUndefined();
    });

    it('hands a message to one receiver only', async () => {
      await send('one');
      await send('two');
      const received = await Promise.all([receive(), receive(), receive()]);

      expect(received.map((message) => message?.jobId).sort()).toEqual(['one', 'two', undefined]);
    });

    it('never hands out a message that was removed', async () => {
      await send('job');
      await (await receive())?.remove();
      await underTest.passSeconds(visibilitySeconds + 1);

      expect(await receive()).toBeUndefined();
    });

    it('hands a message that is not removed out again after its time', async () => {
      await send('job');
      await receive();
      await underTest.passSeconds(visibilitySeconds - 1);
      expect(await receive()).toBeUndefined();
      await underTest.passSeconds(2);

      expect(await receive()).toMatchObject({ jobId: 'job' });
    });

    it('wakes a receiver that waits when a message comes back', async () => {
      await send('job');
      await receive();
      await underTest.passSeconds(visibilitySeconds - 1);
      const waiting = receive(maxWaitSeconds);
      await underTest.passSeconds(2);

      expect(await waiting).toMatchObject({ jobId: 'job' });
    });

    it('hands a released message out again at once, before those behind it', async () => {
      await send('one');
      await send('two');
      const first = await receive();
      await first?.release();

      expect(await drain()).toEqual(['one', 'two']);
    });

    it('does nothing when a message that was released or removed is released or removed again', async () => {
      await send('job');
      const first = await receive();
      await first?.release();
      await first?.release();
      await first?.remove();
      expect(await drain()).toEqual(['job']);

      await send('other');
      const other = await receive();
      await other?.remove();
      await other?.release();
      expect(await receive()).toBeUndefined();
    });

    it('does not let a receiver that was too late remove or release what was handed out again', async () => {
      await send('job');
      const late = await receive();
      await underTest.passSeconds(visibilitySeconds + 1);
      const second = await receive();
      await late?.release();
      await late?.remove();
      expect(await receive()).toBeUndefined();
      await second?.release();

      expect(await receive()).toMatchObject({ jobId: 'job' });
    });

    describe('a long poll', () => {
      it('gets a message that is sent while it waits', async () => {
        const waiting = receive(maxWaitSeconds);
        await send('job');

        expect(await waiting).toMatchObject({ jobId: 'job' });
      });

      it('ends with nothing when its time is over', async () => {
        let isOver = false;
        const waiting = receive(2).then((message) => {
          isOver = true;
          return message;
        });
        await underTest.passSeconds(1.5);
        expect(isOver).toBe(false);
        await underTest.passSeconds(0.6);

        expect(await waiting).toBeUndefined();
        await send('job');
        expect(await receive()).toMatchObject({ jobId: 'job' });
      });

      it('ends with nothing at once when its signal aborts, and takes no message afterwards', async () => {
        const abort = new AbortController();
        const waiting = receive(maxWaitSeconds, abort.signal);
        abort.abort();
        expect(await waiting).toBeUndefined();
        await send('job');

        await expect.poll(drain).toEqual(['job']);
      });

      it('takes nothing when its signal has aborted before', async () => {
        await send('job');

        expect(await receive(0, AbortSignal.abort())).toBeUndefined();
        expect(await drain()).toEqual(['job']);
      });

      it('puts a message back that arrives as its signal aborts', async () => {
        const abort = new AbortController();
        const waiting = receive(maxWaitSeconds, abort.signal);
        const sending = send('job');
        abort.abort();
        await sending;

        expect(await waiting).toBeUndefined();
        await expect.poll(drain).toEqual(['job']);
      });

      it('hands a message that is put back to the next one that waits', async () => {
        const abort = new AbortController();
        const first = receive(maxWaitSeconds, abort.signal);
        const second = receive(maxWaitSeconds);
        const sending = send('job');
        abort.abort();
        await sending;

        expect(await first).toBeUndefined();
        expect(await second).toMatchObject({ jobId: 'job' });
      });

      it('gives each of many that wait one message', async () => {
        const waiting = Array.from({ length: 50 }, () => receive(maxWaitSeconds));
        for (let at = 0; at < 50; at += 1) await send(`job-${at}`);
        const jobIds = (await Promise.all(waiting)).map((message) => message?.jobId);

        expect(new Set(jobIds)).toEqual(new Set(Array.from({ length: 50 }, (_, at) => `job-${at}`)));
      });
    });

    describe('delay', () => {
      it('keeps a message back until then', async () => {
        await send('late', 'ada', 3);
        await send('now');
        expect(await drain()).toEqual(['now']);
        await underTest.passSeconds(2);
        expect(await drain()).toEqual([]);
        await underTest.passSeconds(1.1);

        expect(await drain()).toEqual(['late']);
      });

      it('ends by waking a receiver that waits', async () => {
        await send('late', 'ada', 2);
        const waiting = receive(maxWaitSeconds);
        await underTest.passSeconds(2.1);

        expect(await waiting).toMatchObject({ jobId: 'late' });
      });
    });

    if (takesTurns)
      describe('fairness', () => {
        it('a busy group does not starve the others', async () => {
          for (let at = 0; at < 100; at += 1) await send(`busy-${at}`, 'busy');
          await send('lone-0', 'lone');
          await send('lone-1', 'lone');
          const first = (await drain()).slice(0, 8);

          expect(first).toContain('lone-0');
          expect(first).toContain('lone-1');
        });

        it('hands out every message once, and those of a group in the order of sending', async () => {
          const sent: string[] = [];
          for (let at = 0; at < 200; at += 1) {
            const group = `g${at % 7 === 0 ? 'a' : 'b'}`;
            sent.push(`${group}-${at}`);
            await send(`${group}-${at}`, group);
          }
          const drained = await drain();

          expect([...drained].sort()).toEqual([...sent].sort());
          for (const group of ['ga', 'gb']) {
            const ofGroup = (jobIds: readonly string[]) => jobIds.filter((jobId) => jobId.startsWith(group));
            expect(ofGroup(drained)).toEqual(ofGroup(sent));
          }
        });
      });

    it('drops the queue of a pool, and makes it anew with the next message', async () => {
      await send('gone');
      await queue.drop(pool);
      await queue.drop(pool);
      expect(await receive()).toBeUndefined();
      await send('new');

      await expect.poll(drain).toEqual(['new']);
    });

    it('hands out every message once to many receivers', async () => {
      const sent = Array.from({ length: 40 }, (_, at) => `job-${at}`);
      for (const jobId of sent) await send(jobId);
      const drained = await Promise.all(Array.from({ length: 4 }, drain));

      expect(drained.flat().sort()).toEqual([...sent].sort());
    });

    it('refuses delays and waits that the cloud would refuse', async () => {
      await expect(send('job', 'ada', maxDelaySeconds + 1)).rejects.toThrow(RangeError);
      await expect(send('job', 'ada', -1)).rejects.toThrow(RangeError);
      await expect(receive(maxWaitSeconds + 1)).rejects.toThrow(RangeError);
      await expect(receive(Number.NaN)).rejects.toThrow(RangeError);
      expect(await receive()).toBeUndefined();
    });

    if (reopens)
      describe('a restart', () => {
        it('keeps messages that wait, that are delayed and that were received, in their order', async () => {
          if (underTest.reopen === undefined) throw new Error('The queue cannot be opened again');
          await send('removed');
          await underTest.passSeconds(1);
          await (await receive())?.remove();
          await underTest.passSeconds(1);
          await send('received');
          const held = await receive();
          await send('waiting');
          await send('delayed', 'ada', 20);
          queue = await underTest.reopen();
          await held?.remove();
          await send('new');
          queue = await underTest.reopen();

          expect(await drain()).toEqual(['received', 'waiting', 'new']);
          await underTest.passSeconds(20);
          expect(await drain()).toEqual(['delayed']);
        });

        it('ends long polls with nothing', async () => {
          if (underTest.reopen === undefined) throw new Error('The queue cannot be opened again');
          const waiting: Promise<Received | undefined> = receive(maxWaitSeconds);
          queue = await underTest.reopen();

          expect(await waiting).toBeUndefined();
        });
      });
  });
}
