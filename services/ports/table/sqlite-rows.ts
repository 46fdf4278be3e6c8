import type { DatabaseSync } from 'node:sqlite';
import type { SqliteFormat } from '../sqlite-file.ts';
import { type IndexName, type Item, indexNames, type Key } from './port.ts';

/**
 * `items.body` is the JSON of `data`, `keys` and `expiresAt`; the key columns repeat what the indexes need.
 * Rows of a rowid table stay whole in a page up to 4 KB, which makes writes of 1 to 2 KB faster than WITHOUT ROWID.
 */
export const tableFormat: SqliteFormat = {
  applicationId: 0x4d696d54, // "MimT"
  version: 1,
  holds: "Mimeo's table",
  isExclusive: false,
  schema: `
    CREATE TABLE items (
      id INTEGER PRIMARY KEY,
      pk TEXT NOT NULL,
      sk TEXT NOT NULL,
      ${indexNames.map((name) => `${name}_pk TEXT, ${name}_sk TEXT,`).join('\n')}
      expires_at INTEGER,
      body TEXT NOT NULL,
      UNIQUE (pk, sk)
    ) STRICT;
    ${indexNames
      .map((name) => `CREATE INDEX ${name} ON items (${name}_pk, ${name}_sk) WHERE ${name}_pk IS NOT NULL;`)
      .join('\n')}
    CREATE INDEX expiring ON items (expires_at) WHERE expires_at IS NOT NULL;
    CREATE TABLE changes (
      id INTEGER PRIMARY KEY,
      pk TEXT NOT NULL,
      sk TEXT NOT NULL,
      before TEXT,
      after TEXT
    ) STRICT;
    CREATE TABLE consumers (name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
};

/** An item as a row: `head` is the part of `body` that the columns repeat. */
export interface EncodedItem {
  readonly head: string;
  readonly body: string;
}

/** The keys and the expiry come first, so that one comparison of `head` tells whether an update changes a column. */
export function encodeItem(item: Item): EncodedItem {
  let head = '{';
  if (item.keys !== undefined) head += `"keys":${encodeKeys(item.keys)},`;
  if (item.expiresAt !== undefined) head += `"expiresAt":${item.expiresAt},`;
  head += '"data":';
  return { head, body: `${head}${JSON.stringify(item.data)}}` };
}

function encodeKeys(keys: NonNullable<Item['keys']>): string {
  let json = '';
  for (const name of indexNames) {
    const key = keys[name];
    if (key === undefined) continue;
    json += `${json === '' ? '' : ','}"${name}":{"pk":${JSON.stringify(key.pk)},"sk":${JSON.stringify(key.sk)}}`;
  }
  return `{${json}}`;
}

/** The item of a row; `body` is what `encodeItem` made. */
export function decodeItem(pk: string, sk: string, body: string): Item {
  const rest: Omit<Item, keyof Key> = JSON.parse(body);
  return { pk, sk, ...rest };
}

/** The values of the columns that repeat keys and expiry, in the order of `columnNames`. */
export function columnsOf(item: Item): (string | number | null)[] {
  const columns: (string | number | null)[] = [];
  for (const name of indexNames) {
    const key = item.keys?.[name];
    columns.push(key?.pk ?? null, key?.sk ?? null);
  }
  columns.push(item.expiresAt ?? null);
  return columns;
}

/** The columns that `columnsOf` gives values for. */
export const columnNames = [...indexNames.flatMap((name) => [`${name}_pk`, `${name}_sk`]), 'expires_at'];

/** A statement that is prepared once, whose rows come as arrays and whose parameters are in order. */
export interface Statement<Row> {
  get(...parameters: (string | number | null)[]): Row | undefined;
  all(...parameters: (string | number | null)[]): Row[];
  iterate(...parameters: (string | number | null)[]): Iterable<Row>;
  run(...parameters: (string | number | null)[]): { lastInsertRowid: number | bigint };
}

/**
 * Prepares `sql`; `Row` is what its columns are, which the schema guarantees. Write `LIMIT ? + 0`: a bare `LIMIT ?` is
 * planned for by its value, and so prepared anew each time that one is bound, which doubles the cost of a small query.
 */
export function prepare<Row>(database: DatabaseSync, sql: string): Statement<Row> {
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  return statement as unknown as Statement<Row>;
}

/** id, body */
type StoredRow = [number, string];

/** The statements of a write. */
export function prepareWrites(database: DatabaseSync) {
  return {
    begin: prepare(database, 'BEGIN IMMEDIATE'),
    commit: prepare(database, 'COMMIT'),
    rollback: prepare(database, 'ROLLBACK'),
    /** Changes where another connection has written: https://sqlite.org/pragma.html#pragma_data_version */
    dataVersion: prepare<[number]>(database, 'PRAGMA data_version'),
    find: prepare<StoredRow>(database, 'SELECT id, body FROM items WHERE pk = ? AND sk = ?'),
    insert: prepare(
      database,
      `INSERT INTO items (pk, sk, body, ${columnNames.join(', ')})
       VALUES (?, ?, ?, ${columnNames.map(() => '?').join(', ')})`,
    ),
    updateBody: prepare(database, 'UPDATE items SET body = ? WHERE id = ?'),
    remove: prepare(database, 'DELETE FROM items WHERE id = ?'),
    expired: prepare<[number, string, string, string]>(
      database,
      'SELECT id, pk, sk, body FROM items WHERE expires_at <= ? LIMIT ? + 0',
    ),
    recordChange: prepare(database, 'INSERT INTO changes (pk, sk, before, after) VALUES (?, ?, ?, ?)'),
  };
}

/** The columns that a query goes by, and its tie-breaker: many items may have the same key in an index. */
export function queryColumns(index: IndexName | undefined): {
  pk: string;
  sk: string;
  tie: string | undefined;
} {
  return index === undefined
    ? { pk: 'pk', sk: 'sk', tie: undefined }
    : { pk: `${index}_pk`, sk: `${index}_sk`, tie: 'id' };
}
