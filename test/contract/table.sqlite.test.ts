import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Change, ChangeFeed, Table } from '../../services/ports/table/port.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';
import { describeChangeFeed } from './change-feed.ts';
import { describeTable } from './table.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mimeo-table-'));
  path = join(folder, 'made', 'table.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function makeTable() {
  const open = () => openSqliteTable({ path, onConsumerError: () => undefined });
  let table = open();
  return {
    table,
    async reopen(): Promise<Table & ChangeFeed> {
      await table.close();
      table = open();
      return table;
    },
    dispose: () => table.close(),
  };
}

describeTable('SQLite', makeTable);
describeChangeFeed('SQLite', makeTable);

const item = (sk: string, n = 0) => ({ pk: 'p', sk, data: { n } });
const rowsOf = (table: string): number => {
  const database = new DatabaseSync(path, { readOnly: true });
  const row = database.prepare(`SELECT count(*) AS count FROM ${table}`).get();
  database.close();
  return Number(row?.count);
};

describe('a SQLite table', () => {
  it('hands out every change, also one with the id of one that was undone before it was durable', async () => {
    const { table, dispose } = await makeTable();
    const poison = new DatabaseSync(path);
    poison.exec(
      "CREATE TRIGGER refuse BEFORE INSERT ON items WHEN NEW.pk = 'poison' BEGIN SELECT RAISE(ABORT, 'full'); END",
    );
    poison.close();
    const put = async (sk: string, pk = 'p', durability?: 'soon') =>
      table.write([{ op: 'put', item: { pk, sk, data: {} } }], durability);
    // The look for expired items, which commits, is over.
    await turn();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const seen: string[] = [];
    let refused: unknown;
    table.consume({
      name: 'follower',
      async handle(changes) {
        seen.push(...changes.map(({ key }) => key.sk));
        if (seen.includes('soon')) refused ??= await put('x', 'poison').catch((error: unknown) => error);
      },
    });
    await put('first');
    await put('soon', 'p', 'soon');
    // The feed is read before that write's time to be committed.
    await vi.advanceTimersByTimeAsync(1);
    expect(refused).toMatchObject({ message: 'full' });
    await put('last');
    await vi.advanceTimersByTimeAsync(1000);

    expect(seen).toEqual(['first', 'soon', 'last']);
    expect(await table.get({ pk: 'p', sk: 'soon' })).toBeDefined();
    await dispose();
  });

  it('has everything that it acknowledged after its process was killed', async () => {
    const child = spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { openSqliteTable } from ${JSON.stringify(
          new URL('../../services/ports/table/sqlite.ts', import.meta.url).href,
        )};
        const table = openSqliteTable({ path: process.argv[1] });
        for (let n = 0; ; n += 1) {
          await table.write([
            { op: 'put', item: { pk: 'p', sk: 'counter', data: { n } } },
            { op: 'put', item: { pk: 'p', sk: 'n-' + n, data: { n } }, when: { absent: true } },
          ]);
          process.stdout.write(n + '\\n');
          if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
        }`,
        path,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const exited = once(child, 'exit');
    let acknowledged = -1;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      if (acknowledged === 1000) child.kill('SIGKILL');
    }
    expect(await exited).toEqual([null, 'SIGKILL']);

    const table = openSqliteTable({ path });
    expect(acknowledged).toBeGreaterThanOrEqual(1000);
    for (let n = 0; n <= acknowledged; n += 1) {
      expect((await table.get({ pk: 'p', sk: `n-${n}` }))?.data.n, `acknowledged write ${n}`).toBe(n);
    }
    const counter = Number((await table.get({ pk: 'p', sk: 'counter' }))?.data.n);
    expect(await table.get({ pk: 'p', sk: `n-${counter}` })).toBeDefined();
    expect(await table.get({ pk: 'p', sk: `n-${counter + 1}` })).toBeUndefined();
    const changes: Change[] = [];
    table.consume({
      name: 'after the kill',
      async handle(group) {
        changes.push(...group);
      },
    });
    await expect.poll(() => changes.length).toBe(2 * (counter + 1));
    await table.close();
  });

  it('a group that was under way when the process died is handed out again', async () => {
    const table = openSqliteTable({ path });
    const seen: string[] = [];
    const released = Promise.withResolvers<void>();
    table.consume({
      name: 'c',
      async handle(changes) {
        seen.push(...changes.map(({ id }) => id));
        await released.promise;
      },
    });
    await table.write([{ op: 'put', item: item('a') }]);
    await expect.poll(() => seen.length).toBe(1);

    // The handler of the first table never ends: for the second one its process might as well be dead.
    const second = openSqliteTable({ path });
    const again: string[] = [];
    second.consume({
      name: 'c',
      async handle(changes) {
        again.push(...changes.map(({ id }) => id));
      },
    });
    await expect.poll(() => again).toEqual(seen);
    await second.close();
    released.resolve();
    await table.close();
  });

  it('forgets changes that every known consumer has passed, and keeps them for one that is away', async () => {
    const table = openSqliteTable({ path });
    const seen = { one: 0, two: 0 };
    const consume = (name: 'one' | 'two') =>
      table.consume({
        name,
        async handle(changes) {
          seen[name] += changes.length;
        },
      });
    consume('one');
    const stopTwo = consume('two');
    await stopTwo();
    for (let n = 0; n < 300; n += 1) await table.write([{ op: 'put', item: item('a', n) }]);
    await expect.poll(() => seen.one).toBe(300);
    expect(rowsOf('changes')).toBe(300);

    consume('two');
    await expect.poll(() => seen.two).toBe(300);
    await expect.poll(() => rowsOf('changes')).toBe(1);
    await table.close();
  });

  it('removes expired items now and then, and the feed tells of it as a deletion', async () => {
    let nowMs = 1_000_000_000_000;
    const table = openSqliteTable({ path, now: () => nowMs });
    const changes: Change[] = [];
    table.consume({
      name: 'c',
      async handle(group) {
        changes.push(...group);
      },
    });
    const old = { ...item('old'), expiresAt: nowMs / 1000 + 10 };
    await table.write([
      { op: 'put', item: old },
      { op: 'put', item: { ...item('kept'), expiresAt: nowMs / 1000 + 1000 } },
    ]);
    nowMs += 9_999;
    expect(await table.get(old)).toEqual(old);
    nowMs += 1;
    expect(await table.get(old)).toBeUndefined();
    expect(rowsOf('items')).toBe(2);

    nowMs += 60_000;
    await table.write([{ op: 'put', item: item('other') }]);
    await expect.poll(() => rowsOf('items')).toBe(2);
    await expect
      .poll(() => changes.at(-1))
      .toMatchObject({ key: { sk: 'old' }, before: old, after: undefined });
    await table.close();
  });

  it('removes more expired items than one transaction takes', async () => {
    let nowMs = 1_000_000_000_000;
    const table = openSqliteTable({ path, now: () => nowMs });
    for (let n = 0; n < 450; n += 1) {
      await table.write([{ op: 'put', item: { ...item(`i-${n}`), expiresAt: nowMs / 1000 + 1 } }]);
    }
    nowMs += 60_000;
    await table.write([{ op: 'put', item: item('other') }]);

    await expect.poll(() => rowsOf('items')).toBe(1);
    await table.close();
  });

  it('has one truth for all who have the file open', async () => {
    const one = openSqliteTable({ path });
    const two = openSqliteTable({ path });
    await one.write([{ op: 'put', item: item('a', 1), when: { absent: true } }]);

    await expect(
      two.write([{ op: 'put', item: item('a', 2), when: { absent: true } }]),
    ).rejects.toMatchObject({ failed: [0] });
    expect((await two.get({ pk: 'p', sk: 'a' }))?.data.n).toBe(1);
    await one.close();
    await two.close();
  });

  it('keeps nothing of a write that fails in the middle', async () => {
    const table = openSqliteTable({ path });
    const other = new DatabaseSync(path);
    other.exec(
      "CREATE TRIGGER broken BEFORE INSERT ON items WHEN new.sk = 'b' BEGIN SELECT raise(FAIL, 'no'); END",
    );
    other.close();

    await expect(
      table.write([
        { op: 'put', item: item('a') },
        { op: 'put', item: item('b') },
      ]),
    ).rejects.toThrow('no');
    expect(await table.get(item('a'))).toBeUndefined();
    await table.write([{ op: 'put', item: item('c') }]);
    expect([rowsOf('items'), rowsOf('changes')]).toEqual([1, 1]);
    await table.close();
  });

  it('reports the error of a handler', async () => {
    const reports: unknown[] = [];
    const table = openSqliteTable({ path, onConsumerError: (...report) => reports.push(report) });
    const error = new Error('broken');
    table.consume({
      name: 'c',
      async handle() {
        throw error;
      },
    });
    await table.write([{ op: 'put', item: item('a') }]);

    await expect.poll(() => reports).toEqual([['c', error]]);
    await table.close();
  });

  it('makes what was to be durable soon durable with the next write, and by itself', async () => {
    const table = openSqliteTable({ path });
    await table.write([{ op: 'put', item: item('a') }], 'soon');
    await table.write([{ op: 'put', item: item('b') }], 'soon');
    expect(rowsOf('items')).toBe(0);

    await table.write([{ op: 'put', item: item('c') }]);
    expect(rowsOf('items')).toBe(3);

    await table.write([{ op: 'put', item: item('d') }], 'soon');
    await expect.poll(() => rowsOf('items')).toBe(4);
    await table.write([{ op: 'put', item: item('e') }], 'soon');
    await table.close();
    expect(rowsOf('items')).toBe(5);
  });

  it('sees what another process wrote over what it has just written itself', async () => {
    const table = openSqliteTable({ path });
    const other = openSqliteTable({ path });
    await table.write([{ op: 'put', item: item('a', 1) }]);
    await other.write([{ op: 'put', item: item('a', 2) }]);

    const stale = table.write([{ op: 'put', item: item('a', 3), when: { equals: { n: 1 } } }]);
    await expect(stale).rejects.toThrow('Condition failed');
    await table.write([{ op: 'put', item: item('a', 3), when: { equals: { n: 2 } } }]);
    expect(await other.get({ pk: 'p', sk: 'a' })).toMatchObject({ data: { n: 3 } });
    await other.close();
    await table.close();
  });

  it('leaves out what items were before where its feed carries new images only', async () => {
    const changes: Change[] = [];
    const table = openSqliteTable({ path, feedImages: 'new' });
    table.consume({
      name: 'c',
      async handle(group) {
        changes.push(...group);
      },
    });
    await table.write([{ op: 'put', item: item('a', 1) }]);
    await table.write([{ op: 'put', item: item('a', 2) }]);
    await table.write([{ op: 'delete', key: item('a') }]);

    const seen = () => changes.map(({ before, after }) => [before, after?.data.n]);
    await expect.poll(seen).toEqual([
      [undefined, 1],
      [undefined, 2],
      [undefined, undefined],
    ]);
    await table.close();
  });

  it('closes twice without complaint', async () => {
    const table = openSqliteTable({ path });
    await table.close();
    await table.close();
  });
});

describe('opening a SQLite table', () => {
  const file = () => join(folder, 'table.db');
  const open = () => openSqliteTable({ path: file() });

  it('refuses a file that a newer release wrote, and says what to do', async () => {
    await open().close();
    const database = new DatabaseSync(file());
    database.exec('PRAGMA user_version=99');
    database.close();

    expect(open).toThrow(new RegExp(`${file()} was written by a newer Mimeo .*99.*Update Mimeo`));
  });

  it('refuses a file that is no database, and says what to do', () => {
    writeFileSync(
      file(),
      'not a database at all, but long enough to have a header of a hundred bytes'.repeat(4),
    );

    expect(open).toThrow(new RegExp(`${file()} .*cannot be opened: .*restore it from a backup`));
  });

  it('refuses the database of another program, and leaves it alone', () => {
    const database = new DatabaseSync(file());
    database.exec('CREATE TABLE theirs (x)');
    database.close();

    expect(open).toThrow(`${file()} is a database of another program`);
  });

  it('refuses a path where there can be no file', () => {
    expect(() => openSqliteTable({ path: folder })).toThrow(
      /cannot be opened: .*Check that the folder exists/,
    );
  });
});
