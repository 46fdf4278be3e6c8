import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Change, ChangeFeed, Item, Table } from '../../services/ports/table/port.ts';

export interface FeedUnderTest {
  readonly table: Table & ChangeFeed;
  /** Closes the table and opens it again, as a new process would. */
  reopen(): Promise<Table & ChangeFeed>;
  dispose(): Promise<void>;
}

/** Everything that `ChangeFeed` promises. Each table is the test's own. */
export function describeChangeFeed(name: string, makeTable: () => Promise<FeedUnderTest>): void {
  describe(`the change feed contract: ${name}`, () => {
    let underTest: FeedUnderTest;
    let table: Table & ChangeFeed;

    beforeEach(async () => {
      underTest = await makeTable();
      table = underTest.table;
    });
    afterEach(() => underTest.dispose());

    const item = (sk: string, n: number, rest: Partial<Item> = {}): Item => ({
      pk: 'p',
      sk,
      data: { n },
      ...rest,
    });
    const put = (...items: Item[]) => table.write(items.map((each) => ({ op: 'put', item: each })));
    const collect = (from: ChangeFeed = table, consumer = 'collector') => {
      const changes: Change[] = [];
      const stop = from.consume({
        name: consumer,
        async handle(group) {
          changes.push(...group);
        },
      });
      return { changes, stop };
    };
    const values = (changes: readonly Change[]) => changes.map(({ after }) => after?.data.n);

    it('tells of a creation, a change and a deletion, with the items before and after', async () => {
      const { changes } = collect();
      const first = item('a', 1, { keys: { listing: { pk: 'l', sk: '1' } }, expiresAt: 4102444800 });
      const second = item('a', 2);
      await put(first);
      await put(second);
      await table.write([{ op: 'delete', key: second }]);

      await expect.poll(() => changes.length).toBe(3);
      const key = { pk: 'p', sk: 'a' };
      expect(changes).toEqual([
        { id: expect.any(String), key, before: undefined, after: first },
        { id: expect.any(String), key, before: first, after: second },
        { id: expect.any(String), key, before: second, after: undefined },
      ]);
    });

    it('tells of nothing where nothing changed', async () => {
      const { changes } = collect();
      await table.write([{ op: 'delete', key: { pk: 'p', sk: 'none' } }]);
      await table.write([{ op: 'check', key: { pk: 'p', sk: 'none' }, when: { absent: true } }]);
      await table.write([{ op: 'put', item: item('x', 1), when: { present: true } }]).catch(() => undefined);
      await put(item('same', 1));
      await put(item('same', 1));
      await put(item('last', 9));

      await expect.poll(() => values(changes)).toEqual([1, 9]);
    });

    it('gives the changes of an item in order, with ids that rise', async () => {
      const { changes } = collect();
      for (let n = 0; n < 700; n += 1) await put(item('a', n), item('b', n));

      await expect.poll(() => changes.length).toBe(1400);
      const ofA = changes.filter(({ key }) => key.sk === 'a');
      expect(values(ofA)).toEqual(Array.from({ length: 700 }, (_, n) => n));
      const ids = changes.map(({ id }) => Number(id));
      expect(ids).toEqual([...ids].sort((a, b) => a - b));
      expect(new Set(ids).size).toBe(1400);
    });

    it('gives every consumer every change', async () => {
      const one = collect(table, 'one');
      const two = collect(table, 'two');
      for (let n = 0; n < 10; n += 1) await put(item('a', n));

      await expect.poll(() => [one.changes.length, two.changes.length]).toEqual([10, 10]);
      expect(two.changes).toEqual(one.changes);
    });

    it('calls no handler before the write has returned', async () => {
      const handle = vi.fn(async () => {});
      table.consume({ name: 'slow', handle });
      await put(item('a', 1));

      expect(handle).not.toHaveBeenCalled();
      await expect.poll(() => handle.mock.calls.length).toBe(1);
    });

    it('hands changes out in groups, and one group at a time', async () => {
      const sizes: number[] = [];
      let running = 0;
      let most = 0;
      table.consume({
        name: 'groups',
        async handle(changes) {
          running += 1;
          most = Math.max(most, running);
          sizes.push(changes.length);
          await new Promise((resolve) => setImmediate(resolve));
          running -= 1;
        },
      });
      for (let n = 0; n < 600; n += 1) await put(item('a', n));

      await expect.poll(() => sizes.reduce((sum, size) => sum + size, 0)).toBe(600);
      expect(sizes.length).toBeLessThan(60);
      expect(most).toBe(1);
    });

    it('hands a group whose handler threw out again, and nothing behind it before', async () => {
      const calls: (readonly Change[])[] = [];
      table.consume({
        name: 'flaky',
        async handle(changes) {
          calls.push(changes);
          if (calls.length <= 2) throw new Error('not yet');
        },
      });
      await put(item('a', 1));
      await put(item('a', 2));

      await expect.poll(() => calls.length).toBe(3);
      expect(calls.map((changes) => values(changes))).toEqual([
        [1, 2],
        [1, 2],
        [1, 2],
      ]);
      expect(calls[2]).toEqual(calls[0]);
    });

    it('a consumer that fails does not hold up another', async () => {
      table.consume({
        name: 'failing',
        async handle() {
          throw new Error('never');
        },
      });
      const { changes } = collect(table, 'healthy');
      await put(item('a', 1));

      await expect.poll(() => values(changes)).toEqual([1]);
    });

    it('a handler may write to the table', async () => {
      table.consume({
        name: 'writer',
        async handle(changes) {
          for (const { key, after } of changes) {
            if (key.sk === 'a') await put(item('derived', Number(after?.data.n) * 10));
          }
        },
      });
      const { changes } = collect();
      await put(item('a', 4));

      await expect.poll(() => values(changes)).toEqual([4, 40]);
    });

    it('hands out what changed while a handler ran, and not before it has ended', async () => {
      const { changes } = collect();
      const seen: unknown[][] = [];
      table.consume({
        name: 'busy',
        async handle(group) {
          seen.push(values(group));
          if (seen.length > 1) return;
          await put(item('b', 2));
          await expect.poll(() => values(changes)).toEqual([1, 2]);
          expect(seen).toEqual([[1]]);
        },
      });
      await put(item('a', 1));

      await expect.poll(() => seen).toEqual([[1], [2]]);
    });

    it('stopping waits for the handler that runs, and none is called after it', async () => {
      const released = Promise.withResolvers<void>();
      const handled: unknown[] = [];
      let isDone = false;
      const stop = table.consume({
        name: 'stopped',
        async handle(changes) {
          handled.push(...values(changes));
          await released.promise;
          isDone = true;
        },
      });
      await put(item('a', 1));
      await expect.poll(() => handled).toEqual([1]);
      const stopped = stop().then(() => isDone);
      await put(item('a', 2));
      released.resolve();

      expect(await stopped).toBe(true);
      const { changes } = collect(table, 'stopped');
      await expect.poll(() => values(changes)).toEqual([2]);
      expect(handled).toEqual([1]);
    });

    it('after a restart a consumer goes on where it stopped', async () => {
      const first = collect();
      await put(item('a', 1));
      await expect.poll(() => values(first.changes)).toEqual([1]);
      await first.stop();
      await put(item('a', 2));
      table = await underTest.reopen();
      await put(item('a', 3));
      const second = collect(table);

      await expect.poll(() => values(second.changes)).toEqual([2, 3]);
      expect(Number(second.changes[0]?.id)).toBeGreaterThan(Number(first.changes[0]?.id));
    });

    it('ids keep rising after a restart, when everything had been handled', async () => {
      const first = collect();
      for (let n = 0; n < 20; n += 1) await put(item('a', n));
      await expect.poll(() => first.changes.length).toBe(20);
      table = await underTest.reopen();
      const second = collect(table);
      await put(item('a', 99));

      await expect.poll(() => values(second.changes)).toEqual([99]);
      expect(Number(second.changes[0]?.id)).toBeGreaterThan(Number(first.changes.at(-1)?.id));
    });

    it('refuses a second consumer of the same name', () => {
      collect(table, 'same');

      expect(() => collect(table, 'same')).toThrow('same');
    });
  });
}
