import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProblemError } from '../../services/core/errors.ts';
import {
  ConflictError,
  type IndexName,
  type Item,
  indexNames,
  LimitError,
  maxItemBytes,
  maxTransactionBytes,
  maxWriteOps,
  type QueryOptions,
  type Table,
} from '../../services/ports/table/port.ts';

export interface TableUnderTest {
  readonly table: Table;
  /** Closes the table and opens it again, as a new process would; for tables that a process owns. */
  reopen?(): Promise<Table>;
  dispose(): Promise<void>;
}

export interface TableTraits {
  /** Made-up cases where many are tried: fewer for a table that is far away. @default 100 */
  readonly runs?: number;
  /** Whether the table belongs to one process, which may be started again. @default true */
  readonly reopens?: boolean;
  /** Whether a condition tells 0 from false, which an emulator may not. @default true */
  readonly tellsNumbersFromBooleans?: boolean;
}

/** Everything that `Table` promises. The tests share no partition, so that they may share a table. */
export function describeTable(
  name: string,
  makeTable: () => Promise<TableUnderTest>,
  { runs = 100, reopens = true, tellsNumbersFromBooleans = true }: TableTraits = {},
): void {
  describe(`the table contract: ${name}`, () => {
    let underTest: TableUnderTest;
    let table: Table;
    let pk: string;

    beforeEach(async () => {
      underTest = await makeTable();
      table = underTest.table;
      pk = `p-${randomUUID()}`;
    });
    afterEach(() => underTest.dispose());

    const item = (sk: string, data: Item['data'] = {}, rest: Partial<Item> = {}): Item => ({
      pk,
      sk,
      data,
      ...rest,
    });
    const put = (...items: Item[]) => table.write(items.map((each) => ({ op: 'put', item: each })));
    const get = (sk: string) => table.get({ pk, sk });
    const past = () => Math.floor(Date.now() / 1000) - 10;
    const future = () => Math.floor(Date.now() / 1000) + 1000;

    describe('items', () => {
      it('gives an item back as it was put, with every kind of value', async () => {
        const whole = item(
          'a',
          {
            text: 'zwölf ☃ \u{1f600} "quoted" \\ \n',
            empty: '',
            zero: 0,
            number: -12.75,
            large: 9007199254740991,
            yes: true,
            no: false,
            nothing: null,
            list: [1, 'two', null, [3], { four: 4 }],
            map: { deep: { deeper: [] }, '': 'no name' },
          },
          { keys: { listing: { pk: `${pk}-l`, sk: '1' } }, expiresAt: future() },
        );

        await put(whole);

        expect(await get('a')).toEqual(whole);
      });

      it('has nothing where nothing was put', async () => {
        await put(item('a'));

        expect(await get('b')).toBeUndefined();
        expect(await table.get({ pk: `${pk}x`, sk: 'a' })).toBeUndefined();
      });

      it('replaces the whole item', async () => {
        await put(item('a', { one: 1 }, { keys: { due: { pk: `${pk}-d`, sk: '1' } }, expiresAt: future() }));
        await put(item('a', { two: 2 }));

        expect(await get('a')).toEqual(item('a', { two: 2 }));
      });

      it('deletes an item, and deleting nothing is no error', async () => {
        await put(item('a'));
        await table.write([{ op: 'delete', key: { pk, sk: 'a' } }]);
        await table.write([{ op: 'delete', key: { pk, sk: 'a' } }]);

        expect(await get('a')).toBeUndefined();
      });

      it('keeps what it was given when the caller changes it afterwards', async () => {
        const data = { list: [1] };
        await put(item('a', data));
        data.list.push(2);
        const read = (await get('a'))?.data as { list: number[] } | undefined;
        read?.list.push(3);

        expect(await get('a')).toEqual(item('a', { list: [1] }));
      });

      it('leaves out what is undefined, as JSON does', async () => {
        const optional: { text?: string } = {};
        await put(
          item(
            'a',
            { n: 1, text: optional.text as string },
            { keys: { listing: undefined }, expiresAt: undefined },
          ),
        );

        expect((await get('a'))?.data).toEqual({ n: 1 });
        expect((await get('a'))?.data).not.toHaveProperty('text');
      });

      it('keeps any JSON', async () => {
        await fc.assert(
          fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), async (generated) => {
            const data = JSON.parse(JSON.stringify(generated));
            await put(item('any', data));
            expect((await get('any'))?.data).toEqual(data);
          }),
          { numRuns: Math.ceil(runs / 2) },
        );
      });

      it('treats keys with unusual characters as what they are', async () => {
        const names = ["o'clock", '%', '_', 'a#b', 'ü', '\u{1f600}', ' ', 'A', 'a', '\\', '"'];
        await put(...names.map((sk) => item(sk, { sk })));

        for (const sk of names) expect((await get(sk))?.data).toEqual({ sk });
      });
    });

    describe('expiry', () => {
      it('never returns an item that has expired', async () => {
        const keys = { listing: { pk: `${pk}-l`, sk: '1' } };
        await put(
          item('old', {}, { expiresAt: past(), keys }),
          item('new', {}, { expiresAt: future(), keys }),
        );

        expect(await get('old')).toBeUndefined();
        expect(await get('new')).toBeDefined();
        expect((await table.query({ pk }, { limit: 10 })).items.map(({ sk }) => sk)).toEqual(['new']);
        expect(await table.count({ pk }, 10)).toBe(1);
        await expect
          .poll(async () =>
            (await table.query({ index: 'listing', pk: `${pk}-l` }, { limit: 10 })).items.map(({ sk }) => sk),
          )
          .toEqual(['new']);
        await expect.poll(() => table.count({ index: 'listing', pk: `${pk}-l` }, 10)).toBe(1);
      });

      it('holds an expired item for absent in conditions', async () => {
        await put(item('a', { n: 1 }, { expiresAt: past() }));

        await expect(
          table.write([{ op: 'check', key: { pk, sk: 'a' }, when: { present: true } }]),
        ).rejects.toThrow(ConflictError);
        await expect(
          table.write([{ op: 'put', item: item('a'), when: { equals: { n: 1 } } }]),
        ).rejects.toThrow(ConflictError);
        await table.write([{ op: 'put', item: item('a', { n: 2 }), when: { absent: true } }]);
        expect((await get('a'))?.data).toEqual({ n: 2 });
      });
    });

    describe('conditions', () => {
      it('absent holds where there is no item, and only there', async () => {
        await table.write([{ op: 'put', item: item('a', { n: 1 }), when: { absent: true } }]);

        await expect(
          table.write([{ op: 'put', item: item('a', { n: 2 }), when: { absent: true } }]),
        ).rejects.toThrow(ConflictError);
        expect((await get('a'))?.data).toEqual({ n: 1 });
      });

      it('present holds where there is an item, and only there', async () => {
        await expect(
          table.write([{ op: 'delete', key: { pk, sk: 'a' }, when: { present: true } }]),
        ).rejects.toThrow(ConflictError);
        await put(item('a'));
        await table.write([{ op: 'delete', key: { pk, sk: 'a' }, when: { present: true } }]);

        expect(await get('a')).toBeUndefined();
      });

      it('equals holds where each named value is exactly this', async () => {
        await put(item('a', { status: 'starting', attempt: 0, lease: null, open: true, extra: 'x' }));
        const check = (equals: Record<string, string | number | boolean | null>) =>
          table.write([{ op: 'check', key: { pk, sk: 'a' }, when: { equals } }]);

        await check({ status: 'starting', attempt: 0, lease: null, open: true });
        await check({});
        for (const wrong of [
          { status: 'Starting' },
          { status: 'starting', attempt: 1 },
          { attempt: '0' },
          { attempt: null },
          { lease: 'null' },
          { missing: null },
          { toString: 'x' },
          ...(tellsNumbersFromBooleans ? [{ attempt: false }, { open: 1 }] : []),
        ] as Record<string, string | number | boolean | null>[]) {
          await expect(check(wrong), JSON.stringify(wrong)).rejects.toThrow(ConflictError);
        }
      });

      it('equals does not hold where there is no item', async () => {
        await expect(
          table.write([{ op: 'check', key: { pk, sk: 'a' }, when: { equals: {} } }]),
        ).rejects.toThrow(ConflictError);
      });

      it('tells which ops did not hold, and writes nothing', async () => {
        await put(item('a', { n: 1 }), item('d'));

        const failure = table.write([
          { op: 'put', item: item('a', { n: 2 }), when: { equals: { n: 5 } } },
          { op: 'put', item: item('b') },
          { op: 'check', key: { pk, sk: 'c' }, when: { present: true } },
          { op: 'delete', key: { pk, sk: 'd' } },
          { op: 'check', key: { pk, sk: 'e' }, when: { absent: true } },
        ]);

        await expect(failure).rejects.toMatchObject({ name: 'ConflictError', failed: [0, 2] });
        expect((await get('a'))?.data).toEqual({ n: 1 });
        expect(await get('b')).toBeUndefined();
        expect(await get('d')).toBeDefined();
      });

      it('a check that holds changes nothing and lets the other ops through', async () => {
        await put(item('a', { n: 1 }));
        await table.write([
          { op: 'check', key: { pk, sk: 'a' }, when: { equals: { n: 1 } } },
          { op: 'put', item: item('b') },
        ]);

        expect(await get('a')).toEqual(item('a', { n: 1 }));
        expect(await get('b')).toBeDefined();
      });

      it('of a hundred writers with one condition exactly one wins', async () => {
        await put(item('a', { writer: -1 }));
        const results = await Promise.allSettled(
          Array.from({ length: 100 }, (_, writer) =>
            table.write([{ op: 'put', item: item('a', { writer }), when: { equals: { writer: -1 } } }]),
          ),
        );

        const winners = results.flatMap((result, writer) => (result.status === 'fulfilled' ? [writer] : []));
        expect(winners).toHaveLength(1);
        expect((await get('a'))?.data).toEqual({ writer: winners[0] });
        for (const result of results) {
          if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(ConflictError);
        }
      });
    });

    describe('counters', () => {
      const add = (sk: string, amounts: Record<string, number>) =>
        ({ op: 'add', key: { pk, sk }, amounts }) as const;

      it('are added to, from 0 where there is none', async () => {
        await table.write([add('a', { runs: 1, cost: 2.5 })]);
        await table.write([add('a', { runs: 2 }), add('b', { runs: -1 })]);

        expect((await get('a'))?.data).toEqual({ runs: 3, cost: 2.5 });
        expect((await table.query({ pk }, { limit: 5 })).items).toEqual([
          item('a', { runs: 3, cost: 2.5 }),
          item('b', { runs: -1 }),
        ]);
      });

      it('lose nothing when many add at once', async () => {
        await Promise.all(Array.from({ length: 50 }, () => table.write([add('a', { runs: 1 })])));

        expect((await get('a'))?.data).toEqual({ runs: 50 });
      });

      it('stay as they are when another op of the write does not hold', async () => {
        await put(item('there'));
        const write = table.write([
          add('a', { runs: 1 }),
          { op: 'put', item: item('there'), when: { absent: true } },
        ]);

        await expect(write).rejects.toMatchObject({ failed: [1] });
        expect(await get('a')).toBeUndefined();
      });
    });

    describe('writes that are to be durable soon', () => {
      const putSoon = (each: Item) => table.write([{ op: 'put', item: each }], 'soon');

      it('are seen by every kind of read, and by conditions, as soon as they are acknowledged', async () => {
        const soon = item('a', { n: 1 }, { keys: { listing: { pk: `${pk}-l`, sk: '1' } } });
        await putSoon(soon);

        expect(await get('a')).toEqual(soon);
        expect((await table.query({ index: 'listing', pk: `${pk}-l` }, { limit: 5 })).items).toEqual([soon]);
        expect(await table.count({ index: 'listing', pk: `${pk}-l` }, 5)).toBe(1);
        await table.write([{ op: 'put', item: item('a', { n: 2 }), when: { equals: { n: 1 } } }]);
        expect(await get('a')).toMatchObject({ data: { n: 2 } });
      });

      it('stay when a later write conflicts', async () => {
        await putSoon(item('a', { n: 1 }));
        const conflicting = table.write([{ op: 'put', item: item('a', { n: 2 }), when: { absent: true } }]);

        await expect(conflicting).rejects.toThrow(ConflictError);
        expect(await get('a')).toMatchObject({ data: { n: 1 } });
      });

      it('can conflict themselves', async () => {
        await putSoon(item('a', { n: 1 }));
        const again = table.write([{ op: 'put', item: item('a'), when: { absent: true } }], 'soon');

        await expect(again).rejects.toThrow(ConflictError);
      });
    });

    describe('limits', () => {
      it('takes as many ops as the limit and refuses one more', async () => {
        const ops = (count: number) =>
          Array.from({ length: count }, (_, at) => ({ op: 'put' as const, item: item(String(at)) }));
        await table.write(ops(maxWriteOps));
        await expect(table.write(ops(maxWriteOps + 1))).rejects.toThrow(LimitError);

        expect(await table.count({ pk }, 1000)).toBe(maxWriteOps);
      });

      it('takes an item that is nearly as large as the limit and refuses a larger one', async () => {
        await put(item('a', { text: 'x'.repeat(maxItemBytes - 8000) }));
        await expect(put(item('b', { text: 'x'.repeat(maxItemBytes + 1) }))).rejects.toThrow(LimitError);
        await expect(put(item('c', { text: 'ü'.repeat(maxItemBytes / 2 + 1) }))).rejects.toThrow(LimitError);

        expect((await get('a'))?.data.text).toHaveLength(maxItemBytes - 8000);
        expect(await get('b')).toBeUndefined();
      });

      it('refuses a write that is larger than a transaction may be', async () => {
        const text = 'x'.repeat(390 * 1024);
        const count = Math.ceil(maxTransactionBytes / text.length) + 1;
        const ops = Array.from({ length: count }, (_, at) => item(String(at), { text }));

        await expect(put(...ops)).rejects.toThrow(LimitError);
        expect(await get('0')).toBeUndefined();
      });

      it('refuses two ops on one item', async () => {
        await expect(put(item('a'), item('a'))).rejects.toThrow(LimitError);
        await expect(
          table.write([
            { op: 'check', key: { pk, sk: 'a' }, when: { absent: true } },
            { op: 'put', item: item('a') },
          ]),
        ).rejects.toThrow(LimitError);
        expect(await get('a')).toBeUndefined();
      });

      it('refuses empty and overlong keys', async () => {
        await expect(put(item(''))).rejects.toThrow(LimitError);
        await expect(put(item('a', {}, { pk: '' }))).rejects.toThrow(LimitError);
        await expect(put(item('x'.repeat(1025)))).rejects.toThrow(LimitError);
        await expect(put(item('a', {}, { keys: { due: { pk: 'd', sk: '' } } }))).rejects.toThrow(LimitError);
      });

      it('refuses limits of a query that are not from 1 to 1000', async () => {
        for (const limit of [0, -1, 1001, 1.5]) {
          await expect(table.query({ pk }, { limit })).rejects.toThrow(LimitError);
        }
      });

      it('an empty write does nothing', async () => {
        await table.write([]);
      });
    });

    describe('queries', () => {
      const sks = async (options: Partial<QueryOptions> = {}, index?: IndexName) =>
        (await table.query({ pk, index }, { limit: 1000, ...options })).items.map(({ sk }) => sk);

      it('gives the items of one partition in the order of the bytes of their sort keys', async () => {
        const sorted = ['!', '1', '10', '2', 'A', 'B', 'a', 'aa', 'b', 'ü', '\u{ffee}', '\u{1f600}'];
        await put(...[...sorted].reverse().map((sk) => item(sk)));
        await put({ pk: `${pk}0`, sk: 'other', data: {} });

        expect(await sks()).toEqual(sorted);
        expect(await sks({ descending: true })).toEqual([...sorted].reverse());
      });

      it('bounds are exclusive, in either direction', async () => {
        await put(...['a', 'b', 'c', 'd', 'e'].map((sk) => item(sk)));

        expect(await sks({ after: 'b' })).toEqual(['c', 'd', 'e']);
        expect(await sks({ before: 'd' })).toEqual(['a', 'b', 'c']);
        expect(await sks({ after: 'a', before: 'e' })).toEqual(['b', 'c', 'd']);
        expect(await sks({ after: 'a', before: 'e', descending: true })).toEqual(['d', 'c', 'b']);
        expect(await sks({ after: 'c', before: 'c' })).toEqual([]);
        expect(await sks({ after: 'd', before: 'b' })).toEqual([]);
      });

      it('an item is in an index while it carries a key for it', async () => {
        const index = { index: 'unfinished', pk: `${pk}-pool` } as const;
        const listed = async () => (await table.query(index, { limit: 10 })).items;
        const entry = item('a', { n: 1 }, { keys: { unfinished: { pk: index.pk, sk: '7' } } });
        await put(entry);
        await expect.poll(listed).toEqual([entry]);

        const moved = item('a', { n: 1 }, { keys: { unfinished: { pk: index.pk, sk: '8' } } });
        await put(moved);
        await expect.poll(listed).toEqual([moved]);

        await put(item('a', { n: 1 }));
        await expect.poll(listed).toEqual([]);
        expect(await get('a')).toEqual(item('a', { n: 1 }));

        await put(moved);
        await expect.poll(listed).toEqual([moved]);
        await table.write([{ op: 'delete', key: moved }]);
        await expect.poll(listed).toEqual([]);
      });

      it('each index has its own partitions and gives whole items of many partitions', async () => {
        const items = indexNames.flatMap((index, at) => [
          { pk: `${pk}-${at}`, sk: 'x', data: { index }, keys: { [index]: { pk: `${pk}-i`, sk: '2' } } },
          { pk: `${pk}-${at}`, sk: 'y', data: { index }, keys: { [index]: { pk: `${pk}-i`, sk: '1' } } },
        ]);
        await put(...items);

        for (const [at, index] of indexNames.entries()) {
          await expect
            .poll(async () => (await table.query({ index, pk: `${pk}-i` }, { limit: 10 })).items)
            .toEqual([items[2 * at + 1], items[2 * at]]);
          await expect.poll(() => table.count({ index, pk: `${pk}-i` }, 10)).toBe(2);
        }
      });

      it('bounds of an index are about its own sort keys', async () => {
        const key = (sk: string) => ({ keys: { due: { pk: `${pk}-d`, sk } } });
        await put(item('z', {}, key('1')), item('y', {}, key('2')), item('x', {}, key('3')));

        await expect
          .poll(async () =>
            (await table.query({ index: 'due', pk: `${pk}-d` }, { limit: 9, before: '3' })).items.map(
              ({ sk }) => sk,
            ),
          )
          .toEqual(['z', 'y']);
      });

      it('counts up to the limit', async () => {
        await put(...['a', 'b', 'c'].map((sk) => item(sk)));

        expect(await table.count({ pk }, 2)).toBe(2);
        expect(await table.count({ pk }, 3)).toBe(3);
        expect(await table.count({ pk }, 4)).toBe(3);
        expect(await table.count({ pk: `${pk}x` }, 4)).toBe(0);
        expect(await table.count({ pk }, 4, 'c')).toBe(2);
        expect(await table.count({ pk }, 1, 'c')).toBe(1);
      });

      it('pages through everything once, in order, whatever the bounds, direction and page size', async () => {
        const skArbitrary = fc.string({
          minLength: 1,
          maxLength: 3,
          unit: fc.constantFrom('a', 'B', '0', 'é'),
        });
        let run = 0;
        await fc.assert(
          fc.asyncProperty(
            fc.uniqueArray(fc.record({ sk: skArbitrary, listing: fc.option(skArbitrary) }), {
              selector: ({ sk }) => sk,
              maxLength: 25,
              size: 'max',
            }),
            fc.record({
              index: fc.constantFrom(undefined, 'listing' as const),
              descending: fc.boolean(),
              limit: fc.integer({ min: 1, max: 7 }),
              after: fc.option(skArbitrary, { nil: undefined, freq: 2 }),
              before: fc.option(skArbitrary, { nil: undefined, freq: 2 }),
            }),
            async (rows, { index, ...options }) => {
              run += 1;
              const partition = `${pk}-${run}`;
              await put(
                ...rows.map(({ sk, listing }) => ({
                  pk: partition,
                  sk,
                  data: {},
                  keys: listing === null ? undefined : { listing: { pk: partition, sk: listing } },
                })),
              );
              const expected = modelKeys(rows, index, options);
              const indexKeys = new Map(rows.map(({ sk, listing }) => [sk, listing]));

              await expect
                .poll(async () => {
                  const found = await walk(table, { index, pk: partition }, options);
                  // Items with one key in an index may come in any order among themselves.
                  expect(new Set(found).size).toBe(found.length);
                  return found.map((sk) => (index === undefined ? sk : indexKeys.get(sk)));
                })
                .toEqual(expected);
            },
          ),
          { numRuns: runs },
        );
      });

      it('pages through an index whose items lie in many partitions, once and in order', async () => {
        const index = { index: 'unfinished', pk: `${pk}-pool` } as const;
        const sks = Array.from({ length: 40 }, (_, at) => String(at).padStart(2, '0'));
        await put(
          ...sks.map((sk) => ({
            pk: `${pk}-${sk}`,
            sk: 'x',
            data: { sk },
            keys: { unfinished: { pk: index.pk, sk } },
          })),
        );
        const read = async (options: Omit<QueryOptions, 'limit'>) => {
          const found: unknown[] = [];
          let cursor: string | undefined;
          do {
            const page = await table.query(index, { limit: 7, ...options, cursor });
            found.push(...page.items.map(({ data }) => data.sk));
            cursor = page.next;
          } while (cursor !== undefined);
          return found;
        };

        await expect.poll(() => read({})).toEqual(sks);
        expect(await read({ descending: true })).toEqual([...sks].reverse());
        expect(await read({ after: '04', before: '30' })).toEqual(sks.slice(5, 30));
        expect(await table.count(index, 100)).toBe(40);
        expect(await table.count(index, 9)).toBe(9);
        expect(await table.count(index, 100, '30')).toBe(30);
      });

      it('a page goes on behind its cursor when items come and go meanwhile', async () => {
        await put(...['a', 'b', 'c', 'd'].map((sk) => item(sk)));
        const first = await table.query({ pk }, { limit: 2 });
        await table.write([
          { op: 'delete', key: { pk, sk: 'b' } },
          { op: 'put', item: item('aa') },
          { op: 'put', item: item('cc') },
        ]);

        expect(first.items.map(({ sk }) => sk)).toEqual(['a', 'b']);
        expect(await sks({ cursor: first.next })).toEqual(['c', 'cc', 'd']);
      });

      it('a cursor is made of letters that need no escaping in a URL', async () => {
        await put(item('ä?&='), item('b/+'), item('c'));
        const { next } = await table.query({ pk }, { limit: 2 });

        expect(next).toMatch(/^[A-Za-z0-9_-]+$/);
      });

      it('refuses a cursor that it did not make', async () => {
        await put(item('a'), item('b'));
        const { next = '' } = await table.query({ pk }, { limit: 1 });

        for (const cursor of ['', 'x', '%%%', 'bnVsbA', 'e30', `${next}=`, next.slice(0, -3), `${next}!`]) {
          const refusal = table.query({ pk }, { limit: 1, cursor });
          await expect(refusal, cursor).rejects.toThrow(ProblemError);
          await expect(refusal).rejects.toMatchObject({ code: 'invalid_request' });
        }
        for (const partition of [{ index: 'listing', pk } as const, { pk: `${pk}-another` }]) {
          await expect(table.query(partition, { limit: 1, cursor: next })).rejects.toMatchObject({
            code: 'invalid_request',
          });
        }
      });
    });

    if (reopens) {
      it('what was written is there after a restart', async () => {
        if (underTest.reopen === undefined) throw new Error('The table cannot be opened again');
        const kept = item(
          'a',
          { n: 1 },
          { keys: { listing: { pk: `${pk}-l`, sk: '1' } }, expiresAt: future() },
        );
        await put(kept);
        const reopened = await underTest.reopen();

        expect(await reopened.get(kept)).toEqual(kept);
        expect((await reopened.query({ index: 'listing', pk: `${pk}-l` }, { limit: 5 })).items).toEqual([
          kept,
        ]);
      });
    }
  });
}

async function walk(
  table: Table,
  partition: { readonly index?: IndexName; readonly pk: string },
  options: QueryOptions,
): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await table.query(partition, { ...options, cursor });
    expect(page.items.length).toBeLessThanOrEqual(options.limit);
    found.push(...page.items.map(({ sk }) => sk));
    cursor = page.next;
  } while (cursor !== undefined);
  return found;
}

/** The sort keys that a query finds, by the words of the contract alone. */
function modelKeys(
  rows: readonly { sk: string; listing: string | null }[],
  index: IndexName | undefined,
  { after, before, descending }: Omit<QueryOptions, 'limit'>,
): string[] {
  const keys = rows
    .map(({ sk, listing }) => (index === undefined ? sk : listing))
    .filter((key) => key !== null)
    .filter(
      (key) =>
        (after === undefined || bytes(key, after) > 0) && (before === undefined || bytes(key, before) < 0),
    )
    .sort(bytes);
  return descending ? keys.reverse() : keys;
}

function bytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
