import type { DatabaseSync } from 'node:sqlite';
import { openSqliteFile } from '../sqlite-file.ts';
import { type Cursors, cursorsSealedWith } from './cursor.ts';
import { assertLimit, assertOps, assertSizes, keyOf } from './limits.ts';
import {
  type ChangeFeed,
  type Condition,
  ConflictError,
  type Durability,
  type IndexName,
  type Item,
  type Key,
  type Page,
  type QueryOptions,
  type Table,
  type WriteOp,
} from './port.ts';
import { startCheckpoints, writerCheckpointPages } from './sqlite-checkpoints.ts';
import { createSqliteFeed } from './sqlite-feed.ts';
import { createRecentItems, type StoredItem } from './sqlite-recent.ts';
import {
  columnNames,
  columnsOf,
  decodeItem,
  type EncodedItem,
  encodeItem,
  prepare,
  prepareWrites,
  queryColumns,
  type Statement,
  tableFormat,
} from './sqlite-rows.ts';

/** How often expired items are looked for, and how many one transaction removes. */
const sweepMs = 60_000;
const sweepItems = 200;
/** Writes after which a thread of its own takes over the checkpoints. */
const writesWorthAThread = 500;
/** How long a write that is to be durable soon waits for others to share its commit. */
const soonMs = 2;

export interface SqliteTableOptions {
  /** The database's file; its folder is made where there is none. */
  readonly path: string;
  /** `full` also keeps the last moments before a power cut, at the price of a disk flush per write. */
  readonly synchronous?: 'normal' | 'full';
  /** Seals cursors. @default a key that everybody knows, which guards against mistakes only */
  readonly cursorKey?: string | Buffer;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /**
   * Which changes the feed carries, by the item that was written or deleted, as the filter of a stream does in the
   * cloud. @default all
   */
  readonly recordsChange?: (item: Item) => boolean;
  /**
   * Whether changes carry the item as it was before, too: StreamViewType NEW_AND_OLD_IMAGES in the cloud, or NEW_IMAGE,
   * which costs half as much. @default both
   */
  readonly feedImages?: 'both' | 'new';
  /** Told of each call of a change handler that threw; it is called again later. */
  readonly onConsumerError?: (consumer: string, error: unknown) => void;
}

/**
 * A table in a SQLite file. Calls run to their end before they return: a promise is settled at once.
 * @throws Error whose message names the file and says how to mend it
 */
export function openSqliteTable(options: SqliteTableOptions): Table & ChangeFeed {
  const { path, synchronous = 'normal', now = Date.now, recordsChange = () => true, feedImages } = options;
  const cursors = cursorsSealedWith(options.cursorKey ?? 'mimeo');
  const database = openSqliteFile(path, tableFormat, synchronous);
  const statements = prepareWrites(database);
  const prepareOnce = statementCache(database);
  const feed = createSqliteFeed(database, options.onConsumerError ?? reportConsumerError, commitOrRollBack);
  database.exec(`PRAGMA wal_autocheckpoint=${writerCheckpointPages}`);
  let checkpoints: { stop(): Promise<void> } | undefined;
  const recent = createRecentItems();
  let dataVersion: number | undefined;
  let writes = 0;
  let sweptAt = 0;
  let lateCommit: NodeJS.Timeout | undefined;

  /** An expired item is gone for every reader, the conditions of a write included. */
  function live(item: Item): Item | undefined {
    return item.expiresAt !== undefined && item.expiresAt * 1000 <= now() ? undefined : item;
  }

  /** To be called in a transaction: outside of one, another process may have written the item anew. */
  function find({ pk, sk }: Key): StoredItem | undefined {
    const known = recent.get(pk, sk);
    if (known !== undefined) return known;
    const row = statements.find.get(pk, sk);
    return row && { id: row[0], body: row[1], item: decodeItem(pk, sk, row[1]) };
  }

  /** @returns whether anything changed */
  function applyOps(ops: readonly WriteOp[], encoded: readonly (EncodedItem | undefined)[]): boolean {
    const stored = ops.map((op) => find(keyOf(op)));
    const failed: number[] = [];
    ops.forEach((op, at) => {
      if (op.op === 'add' || op.when === undefined) return;
      const item = stored[at] && live(stored[at].item);
      if (!holds(op.when, item)) failed.push(at);
    });
    if (failed.length > 0) throw new ConflictError(failed);
    let hasChanged = false;
    ops.forEach((op, at) => {
      const isChange = op.op === 'add' ? add(op, stored[at]) : applyOp(op, stored[at], encoded[at]);
      if (isChange) hasChanged = true;
    });
    return hasChanged;
  }

  function applyOp(op: WriteOp, stored: StoredItem | undefined, encoded: EncodedItem | undefined): boolean {
    const { pk, sk } = keyOf(op);
    if (op.op === 'put' && encoded !== undefined) {
      const { head, body } = encoded;
      // As in DynamoDB's streams, a put that changes nothing is no change.
      if (stored?.body === body) return false;
      recent.keep({ id: stored?.id ?? insert(op.item, body), body, item: op.item });
      if (stored?.body.startsWith(head)) statements.updateBody.run(body, stored.id);
      else if (stored !== undefined) updateMoved(op.item, stored, body);
      if (recordsChange(op.item)) recordChange(pk, sk, stored?.body, body);
      return true;
    }
    if (op.op !== 'delete' || stored === undefined) return false;
    remove(pk, sk, stored.id);
    if (recordsChange(stored.item)) recordChange(pk, sk, stored.body);
    return true;
  }

  function add({ key, amounts }: WriteOp & { op: 'add' }, stored: StoredItem | undefined): boolean {
    const data = { ...(stored && live(stored.item)?.data) };
    for (const [name, amount] of Object.entries(amounts)) data[name] = Number(data[name] ?? 0) + amount;
    const item = { ...key, data };
    return applyOp({ op: 'put', item }, stored, encodeItem(item));
  }

  function recordChange(pk: string, sk: string, before?: string, after?: string): void {
    const old = feedImages === 'new' ? null : (before ?? null);
    statements.recordChange.run(pk, sk, old, after ?? null);
  }

  function insert(item: Item, body: string): number {
    return Number(statements.insert.run(item.pk, item.sk, body, ...columnsOf(item)).lastInsertRowid);
  }

  function remove(pk: string, sk: string, id: number): void {
    recent.forget(pk, sk);
    statements.remove.run(id);
  }

  /** Sets only the columns that change: SQLite writes anew each index whose columns it is told to set. */
  function updateMoved(item: Item, stored: StoredItem, body: string): void {
    const before = columnsOf(stored.item);
    const columns = columnsOf(item);
    const values = columns.filter((value, at) => value !== before[at]);
    let set = 'body = ?';
    for (const [at, name] of columnNames.entries()) if (columns[at] !== before[at]) set += `, ${name} = ?`;
    prepareOnce(`UPDATE items SET ${set} WHERE id = ?`).run(body, ...values, stored.id);
  }

  /** Does `work` and commits it, with what was to be durable soon. After an error nothing of it is left. */
  function transact<T>(work: () => T, durability: Durability = 'now'): T {
    const isShared = database.isTransaction;
    if (!isShared) begin();
    try {
      const result = work();
      if (durability === 'now') commit();
      else lateCommit ??= setTimeout(commitLate, soonMs);
      return result;
    } catch (error) {
      // A conflict is found before anything is written; what others wrote stays. SQLite itself rolls back after some
      // failures, such as a full disk.
      if (!(isShared && error instanceof ConflictError)) rollback();
      throw error;
    }
  }

  function begin(): void {
    statements.begin.run();
    const version = statements.dataVersion.get()?.[0];
    if (version !== dataVersion) recent.clear();
    dataVersion = version;
  }

  function rollback(): void {
    recent.clear();
    if (database.isTransaction) statements.rollback.run();
  }

  function commit(): void {
    if (database.isTransaction) statements.commit.run();
  }

  /** @throws what keeps it from being committed; it is undone then */
  function commitOrRollBack(): void {
    try {
      commit();
    } catch (error) {
      rollback();
      throw error;
    }
  }

  function commitLate(): void {
    lateCommit = undefined;
    if (!database.isOpen) return;
    try {
      commitOrRollBack();
    } catch (error) {
      console.error(`The last writes to ${path} were lost:`, error);
    }
  }

  function sweepNowAndThen(): void {
    const at = now();
    if (at - sweptAt < sweepMs) return;
    sweptAt = at;
    setImmediate(sweepGuarded).unref();
  }

  /** Readers treat what has expired as gone in any case: what fails, as on a full disk, is done another time. */
  function sweepGuarded(): void {
    try {
      sweep();
    } catch (error) {
      console.error(`Expired items of ${path} could not be removed:`, error);
    }
  }

  function sweep(): void {
    if (!database.isOpen) return;
    const removed = transact(() => {
      const rows = statements.expired.all(Math.floor(now() / 1000), sweepItems);
      for (const [id, pk, sk, body] of rows) {
        remove(pk, sk, id);
        if (recordsChange(decodeItem(pk, sk, body))) recordChange(pk, sk, body);
      }
      return rows.length;
    });
    if (removed > 0) feed.notify();
    if (removed === sweepItems) setImmediate(sweepGuarded).unref();
  }

  sweepNowAndThen();
  return {
    consume: feed.consume,

    async get({ pk, sk }) {
      const row = statements.find.get(pk, sk);
      return row === undefined ? undefined : live(decodeItem(pk, sk, row[1]));
    },

    async query(partition, queryOptions) {
      return queryPage(prepareOnce, cursors, partition, queryOptions, Math.floor(now() / 1000));
    },

    async count({ index, pk }, limit, before) {
      const columns = queryColumns(index);
      const bound = before === undefined ? '' : `AND ${columns.sk} < ?`;
      const select = prepareOnce<[number]>(
        `SELECT count(*) FROM (SELECT 1 FROM items
         WHERE ${columns.pk} = ? AND (expires_at IS NULL OR expires_at > ?) ${bound} LIMIT ? + 0)`,
      );
      const bounds = before === undefined ? [] : [before];
      return select.get(pk, Math.floor(now() / 1000), ...bounds, limit)?.[0] ?? 0;
    },

    async write(ops, durability) {
      assertOps(ops);
      const encoded = ops.map((op) => (op.op === 'put' ? encodeItem(op.item) : undefined));
      assertSizes(encoded);
      if (transact(() => applyOps(ops, encoded), durability)) feed.notify();
      // A table that is little written to needs no thread for it.
      if (++writes === writesWorthAThread) checkpoints = startCheckpoints(path);
      sweepNowAndThen();
    },

    async close() {
      await feed.stop();
      clearTimeout(lateCommit);
      commitLate();
      await checkpoints?.stop();
      if (database.isOpen) database.close();
    },
  };
}

function holds(condition: Condition, item: Item | undefined): boolean {
  if ('absent' in condition) return item === undefined;
  if (item === undefined) return false;
  if ('present' in condition) return true;
  for (const name in condition.equals) {
    if (item.data[name] !== condition.equals[name]) return false;
  }
  return true;
}

type PrepareOnce = <Row>(sql: string) => Statement<Row>;

/** The shapes of queries are few; each is prepared when it is first asked. */
function statementCache(database: DatabaseSync): PrepareOnce {
  const cache = new Map<string, Statement<unknown>>();
  return <Row>(sql: string) => {
    let statement = cache.get(sql);
    if (statement === undefined) {
      statement = prepare<unknown>(database, sql);
      cache.set(sql, statement);
    }
    return statement as Statement<Row>;
  };
}

/** id, pk, sk, the sort key that was gone by, body */
type QueryRow = [number, string, string, string, string];

function queryPage(
  prepareOnce: PrepareOnce,
  cursors: Cursors,
  partition: { readonly index?: IndexName; readonly pk: string },
  { after, before, descending = false, limit, cursor }: QueryOptions,
  nowSeconds: number,
): Page<Item> {
  assertLimit(limit);
  const { index, pk } = partition;
  const columns = queryColumns(index);
  const parameters: (string | number | null)[] = [pk, nowSeconds];
  if (after !== undefined) parameters.push(after);
  if (before !== undefined) parameters.push(before);
  if (cursor !== undefined) parameters.push(...cursors.decode(partition, cursor));
  const hasBounds = {
    after: after !== undefined,
    before: before !== undefined,
    cursor: cursor !== undefined,
  };
  const rows = prepareOnce<QueryRow>(querySql(index, hasBounds, descending)).all(...parameters, limit + 1);
  const items = rows.slice(0, limit).map(([, itemPk, itemSk, , body]) => decodeItem(itemPk, itemSk, body));
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  if (last === undefined) return { items, next: undefined };
  return {
    items,
    next: cursors.encode(partition, columns.tie === undefined ? [last[3]] : [last[3], last[0]]),
  };
}

const querySqls = new Map<string, string>();

/** The SQL of a query's shape, of which there are few. */
function querySql(
  index: IndexName | undefined,
  has: { readonly after: boolean; readonly before: boolean; readonly cursor: boolean },
  descending: boolean,
): string {
  const shape = `${index} ${has.after} ${has.before} ${has.cursor} ${descending}`;
  let sql = querySqls.get(shape);
  if (sql === undefined) {
    sql = makeQuerySql(index, has, descending);
    querySqls.set(shape, sql);
  }
  return sql;
}

function makeQuerySql(
  index: IndexName | undefined,
  has: { readonly after: boolean; readonly before: boolean; readonly cursor: boolean },
  descending: boolean,
): string {
  const { pk, sk, tie } = queryColumns(index);
  const beyond = descending ? '<' : '>';
  const where = [`${pk} = ?`, '(expires_at IS NULL OR expires_at > ?)'];
  if (has.after) where.push(`${sk} > ?`);
  if (has.before) where.push(`${sk} < ?`);
  if (has.cursor) where.push(tie === undefined ? `${sk} ${beyond} ?` : `(${sk}, ${tie}) ${beyond} (?, ?)`);
  const direction = descending ? 'DESC' : 'ASC';
  const order = [sk, tie].filter((name) => name !== undefined).map((name) => `${name} ${direction}`);
  return `SELECT id, pk, sk, ${sk}, body FROM items WHERE ${where.join(' AND ')}
    ORDER BY ${order.join(', ')} LIMIT ? + 0`;
}

function reportConsumerError(consumer: string, error: unknown): void {
  console.error(`The change feed's handler ${consumer} failed and is called again:`, error);
}
