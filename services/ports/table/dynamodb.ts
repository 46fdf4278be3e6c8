import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  DynamoDBServiceException,
  GetItemCommand,
  PutItemCommand,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { type Cursors, cursorsSealedWith } from './cursor.ts';
import {
  addExpression,
  conditionExpression,
  decodeItem,
  encodeItem,
  encodeKey,
  shardsOf,
} from './dynamodb-items.ts';
import {
  countShard,
  type DynamoTableRef,
  type Entry,
  getAll,
  jitteredPause,
  readShard,
  type Shard,
  type ShardPlace,
} from './dynamodb-query.ts';
import { assertLimit, assertOps, assertSizes } from './limits.ts';
import {
  ConflictError,
  type IndexName,
  type Item,
  type Page,
  type QueryOptions,
  type Table,
  type WriteOp,
} from './port.ts';

/** One try of a write. */
interface Attempt {
  readonly token: string;
  /** What conditions hold for now. */
  readonly nowSeconds: number;
  /** Tries before it. */
  readonly tries: number;
}

/** How long writes that get in each other's way, or are throttled, are tried again. */
const defaultDeadlineMs = 5000;

export interface DynamoTableOptions {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** Seals cursors; the same for every process that serves one table's lists. */
  readonly cursorKey: string | Buffer;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** @default 5 s */
  readonly deadlineMs?: number;
}

/**
 * A table in DynamoDB (its schema: dynamodb-schema.ts). One op is one request of one write unit a KB and index; several
 * are a transaction, at twice the price.
 */
export function createDynamoTable(options: DynamoTableOptions): Table {
  const { client, tableName, cursorKey, now = Date.now, deadlineMs = defaultDeadlineMs } = options;
  const table: DynamoTableRef = { client, tableName, now };
  const cursors = cursorsSealedWith(cursorKey);

  async function writeOnce(ops: readonly WriteOp[], attempt: Attempt): Promise<void> {
    const [only] = ops;
    if (ops.length === 1 && only?.op === 'put') return await putOne(only, attempt);
    if (ops.length === 1 && only?.op === 'delete') return await deleteOne(only, attempt);
    // One that adds as well: by its token a try whose answer was lost is not counted twice, as an update would be.
    const TransactItems = ops.map((op) => transactItem(tableName, op, attempt.nowSeconds));
    const ClientRequestToken = attempt.token;
    await client.send(new TransactWriteItemsCommand({ TransactItems, ClientRequestToken }));
  }

  async function putOne(
    { item, when }: WriteOp & { op: 'put' },
    { nowSeconds, tries }: Attempt,
  ): Promise<void> {
    const Item = encodeItem(item);
    try {
      await client.send(
        new PutItemCommand({
          TableName: tableName,
          Item,
          ...(when && conditionExpression(when, nowSeconds)),
          ...(when && { ReturnValuesOnConditionCheckFailure: 'ALL_OLD' }),
        }),
      );
    } catch (error) {
      // A try whose answer was lost may have been the one that wrote.
      const isOurs =
        error instanceof ConditionalCheckFailedException &&
        tries + (error.$metadata.attempts ?? 1) > 1 &&
        isDeepStrictEqual(error.Item && decodeItem(error.Item), decodeItem(Item));
      if (!isOurs) throw error;
    }
  }

  async function deleteOne(
    { key, when }: WriteOp & { op: 'delete' },
    { nowSeconds }: Attempt,
  ): Promise<void> {
    const condition = when && conditionExpression(when, nowSeconds);
    await client.send(new DeleteItemCommand({ TableName: tableName, Key: encodeKey(key), ...condition }));
  }

  return {
    async get(key) {
      const { Item } = await client.send(
        new GetItemCommand({ TableName: tableName, Key: encodeKey(key), ConsistentRead: true }),
      );
      const item = Item && decodeItem(Item);
      return item && isLive(item, now()) ? item : undefined;
    },

    async query(partition, queryOptions) {
      return await queryPage(table, cursors, partition, queryOptions);
    },

    async count({ index, pk }, limit, before) {
      const counts = await Promise.all(
        shardsOfPartition(index, pk).map(async (shard) => countShard(table, shard, { limit, before })),
      );
      return Math.min(
        limit,
        counts.reduce((sum, count) => sum + count, 0),
      );
    },

    async write(ops) {
      if (ops.length === 0) return;
      assertOps(ops);
      assertSizes(ops.map((op) => (op.op === 'put' ? { body: JSON.stringify(op.item) } : undefined)));
      // The same for every try: DynamoDB takes a transaction that it knows for done, if nothing in it is another.
      const request = { token: randomUUID(), nowSeconds: Math.floor(now() / 1000) };
      const until = now() + deadlineMs;
      for (let tries = 0; ; tries += 1) {
        try {
          return await writeOnce(ops, { ...request, tries });
        } catch (error) {
          const conflict = conflictOf(error);
          if (conflict) throw conflict;
          if (!isPassing(error) || now() > until) throw error;
          await jitteredPause(tries);
        }
      }
    },

    async close() {
      client.destroy();
    },
  };
}

/** Requests that one process has under way: what waits for a connection counts as one that cannot be made. */
const maxConnections = 500;

/** A client that tries again what is throttled or lost, and gives up on one try after a while. */
export function createDynamoClient(
  options: ConstructorParameters<typeof DynamoDBClient>[0] = {},
): DynamoDBClient {
  const agent = { keepAlive: true, maxSockets: maxConnections };
  return new DynamoDBClient({
    maxAttempts: 5,
    requestHandler: {
      httpAgent: agent,
      httpsAgent: agent,
      connectionTimeout: 1000,
      requestTimeout: 3000,
      throwOnRequestTimeout: true,
    },
    ...options,
  });
}

async function queryPage(
  table: DynamoTableRef,
  cursors: Cursors,
  partition: { readonly index?: IndexName; readonly pk: string },
  { limit, cursor, ...bounds }: QueryOptions,
): Promise<Page<Item>> {
  assertLimit(limit);
  const { index, pk } = partition;
  const shards = shardsOfPartition(index, pk);
  const places = cursor === undefined ? shards.map(() => null) : fromPlace(cursors.decode(partition, cursor));
  // One more than the page tells whether there is another one.
  const read = await Promise.all(
    shards.map(async (shard, at) =>
      readShard(table, shard, bounds, { count: limit + 1, from: places[at] ?? null }),
    ),
  );
  const merged = read.flat().sort(byOrder(bounds.descending === true));
  const entries = merged.slice(0, limit);
  const items =
    index === undefined ? entries.map(({ item }) => item) : await itemsOf(table, index, pk, entries);
  const next =
    merged.length > limit ? cursors.encode(partition, toPlace(shards, places, entries)) : undefined;
  return { items: items.filter((item) => item !== undefined), next };
}

/** The items of an index's entries; what has left the index since, or moved in it, is left out. */
async function itemsOf(
  table: DynamoTableRef,
  index: IndexName,
  pk: string,
  entries: readonly Entry[],
): Promise<(Item | undefined)[]> {
  const items = await getAll(
    table,
    entries.map(({ key }) => key),
  );
  return items.map((item, at) => {
    const key = item?.keys?.[index];
    return key?.pk === pk && key.sk === entries[at]?.sk ? item : undefined;
  });
}

function shardsOfPartition(index: IndexName | undefined, pk: string): readonly Shard[] {
  const count = index === undefined ? 1 : shardsOf[index];
  return Array.from({ length: count }, (_, shard) => ({ index, pk, shard }));
}

/** As DynamoDB orders sort keys: by the bytes of their UTF-8. Within a shard the order stays as it was read. */
function byOrder(descending: boolean): (a: Entry, b: Entry) => number {
  const sign = descending ? -1 : 1;
  return (a, b) => sign * Buffer.compare(Buffer.from(a.sk), Buffer.from(b.sk));
}

/** For each shard the last entry that was given out, in a flat list. */
function toPlace(
  shards: readonly Shard[],
  before: readonly ShardPlace[],
  entries: readonly Entry[],
): (string | null)[] {
  return shards.flatMap(({ shard }, at) => {
    const last = entries.findLast((entry) => entry.shard === shard);
    const place = last ? ([last.sk, last.key.pk, last.key.sk] as const) : before[at];
    return place ? [...place] : [null, null, null];
  });
}

function fromPlace(place: readonly (string | number | null)[]): ShardPlace[] {
  return Array.from({ length: place.length / 3 }, (_, at) => {
    const [sk, itemPk, itemSk] = place.slice(3 * at, 3 * at + 3);
    return typeof sk === 'string' ? [sk, String(itemPk), String(itemSk)] : null;
  });
}

function transactItem(TableName: string, op: WriteOp, nowSeconds: number): TransactWriteItem {
  const condition = 'when' in op && op.when ? conditionExpression(op.when, nowSeconds) : undefined;
  switch (op.op) {
    case 'add':
      return { Update: { TableName, Key: encodeKey(op.key), ...addExpression(op.amounts) } };
    case 'put':
      return { Put: { TableName, Item: encodeItem(op.item), ...condition } };
    case 'delete':
      return { Delete: { TableName, Key: encodeKey(op.key), ...condition } };
    case 'check':
      return {
        ConditionCheck: { TableName, Key: encodeKey(op.key), ...conditionExpression(op.when, nowSeconds) },
      };
  }
}

function isLive({ expiresAt }: Item, nowMs: number): boolean {
  return expiresAt === undefined || expiresAt * 1000 > nowMs;
}

function conflictOf(error: unknown): ConflictError | undefined {
  if (error instanceof ConditionalCheckFailedException) return new ConflictError([0]);
  if (!(error instanceof TransactionCanceledException)) return undefined;
  const failed = (error.CancellationReasons ?? []).flatMap(({ Code }, at) =>
    Code === 'ConditionalCheckFailed' ? [at] : [],
  );
  return failed.length > 0 ? new ConflictError(failed) : undefined;
}

/** What another try may mend: writes that met, and throttling. */
const passingCodes = new Set([
  'TransactionConflict',
  'TransactionConflictException',
  'TransactionInProgressException',
  'ThrottlingError',
  'ThrottlingException',
  'ProvisionedThroughputExceeded',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'InternalServerError',
]);

function isPassing(error: unknown): boolean {
  if (error instanceof TransactionCanceledException) {
    return (error.CancellationReasons ?? []).some(({ Code }) => passingCodes.has(Code ?? ''));
  }
  return error instanceof DynamoDBServiceException && passingCodes.has(error.name);
}
