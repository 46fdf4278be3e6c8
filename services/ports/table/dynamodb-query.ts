import {
  BatchGetItemCommand,
  type DynamoDBClient,
  QueryCommand,
  type QueryCommandInput,
} from '@aws-sdk/client-dynamodb';
import { type Attributes, decodeItem, decodeKey, encodeKey, shardPk } from './dynamodb-items.ts';
import { expiryAttribute, indexAttributes } from './dynamodb-schema.ts';
import type { IndexName, Item, Key, QueryOptions } from './port.ts';

/** DynamoDB: items of one BatchGetItem. */
const maxBatchItems = 100;
/** Tries for keys that a BatchGetItem left out, which it does when it is throttled or its answer is full. */
const maxBatchTries = 8;

export interface DynamoTableRef {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** A partition of the table, or one shard of a partition of an index. */
export interface Shard {
  readonly index?: IndexName;
  readonly pk: string;
  readonly shard: number;
}

/** One entry of a shard. */
export interface Entry {
  readonly shard: number;
  readonly key: Key;
  /** By which entries are ordered: in the table the item's own sort key, in an index that of the index. */
  readonly sk: string;
  /** The whole item where the table itself was read. */
  readonly item: Item | undefined;
}

/** The place behind an entry of one shard; null for the shard's beginning. */
export type ShardPlace = readonly [sk: string, itemPk: string, itemSk: string] | null;

type Bounds = Pick<QueryOptions, 'after' | 'before' | 'descending'>;

/** Reads entries in order, at most `count`, none of them expired. The table itself is read consistently. */
export async function readShard(
  table: DynamoTableRef,
  shard: Shard,
  bounds: Bounds,
  { count, from }: { readonly count: number; readonly from: ShardPlace },
): Promise<Entry[]> {
  const names = attributesOf(shard.index);
  const entries: Entry[] = [];
  // DynamoDB refuses a range that ends before it begins.
  if (bounds.after !== undefined && bounds.before !== undefined && !isBefore(bounds.after, bounds.before))
    return entries;
  const request = queryInput(table, shard, bounds);
  let start = from && startKey(shard, from);
  do {
    const input = { ...request, Limit: count - entries.length, ExclusiveStartKey: start ?? undefined };
    const page = await table.client.send(new QueryCommand(input));
    for (const found of page.Items ?? []) {
      const sk = found[names.sk]?.S ?? '';
      // BETWEEN takes its bounds in.
      if (sk === bounds.after || sk === bounds.before) continue;
      const item = shard.index === undefined ? decodeItem(found) : undefined;
      entries.push({ shard: shard.shard, key: decodeKey(found), sk, item });
    }
    start = page.LastEvaluatedKey ?? null;
  } while (start !== null && entries.length < count);
  return entries;
}

/** Counts what `readShard` would read, up to `limit`. */
export async function countShard(
  table: DynamoTableRef,
  shard: Shard,
  { limit, before }: Pick<QueryOptions, 'limit' | 'before'>,
): Promise<number> {
  const request = { ...queryInput(table, shard, { before }), Select: 'COUNT' } as const;
  let count = 0;
  let start: Attributes | undefined;
  do {
    const input = { ...request, Limit: limit - count, ExclusiveStartKey: start };
    const page = await table.client.send(new QueryCommand(input));
    count += page.Count ?? 0;
    start = page.LastEvaluatedKey;
  } while (start !== undefined && count < limit);
  return count;
}

/** Items by key, in the order of the keys; undefined for those that are not there. Consistent. */
export async function getAll(table: DynamoTableRef, keys: readonly Key[]): Promise<(Item | undefined)[]> {
  const found = new Map<string, Item>();
  // An index that lags may have an item under two keys, and a batch takes each item once.
  const wanted = [...new Map(keys.map((key) => [identity(key), key])).values()];
  for (let start = 0; start < wanted.length; start += maxBatchItems) {
    const batch = await getBatch(table, wanted.slice(start, start + maxBatchItems));
    for (const item of batch) found.set(identity(item), item);
  }
  return keys.map((key) => found.get(identity(key)));
}

async function getBatch({ client, tableName }: DynamoTableRef, keys: readonly Key[]): Promise<Item[]> {
  const items: Item[] = [];
  let left: Attributes[] = keys.map(encodeKey);
  for (let tries = 0; left.length > 0; tries += 1) {
    if (tries === maxBatchTries) throw new Error(`The table left ${left.length} items unread`);
    if (tries > 0) await jitteredPause(tries);
    const RequestItems = { [tableName]: { Keys: left, ConsistentRead: true } };
    const answer = await client.send(new BatchGetItemCommand({ RequestItems }));
    items.push(...(answer.Responses?.[tableName] ?? []).map(decodeItem));
    left = answer.UnprocessedKeys?.[tableName]?.Keys ?? [];
  }
  return items;
}

/** Waits for a random time of at most 25 ms, doubled with each try up to 1 s ("full jitter"). */
export async function jitteredPause(tries: number): Promise<void> {
  const ms = Math.random() * Math.min(1000, 25 * 2 ** tries);
  await new Promise((resolve) => setTimeout(resolve, ms));
}

function queryInput(
  { tableName, now }: DynamoTableRef,
  { index, pk, shard }: Shard,
  { after, before, descending = false }: Bounds,
): QueryCommandInput {
  const names = attributesOf(index);
  // A sort key takes one condition.
  const bound =
    after !== undefined && before !== undefined
      ? ' AND #sk BETWEEN :after AND :before'
      : `${after === undefined ? '' : ' AND #sk > :after'}${before === undefined ? '' : ' AND #sk < :before'}`;
  return {
    TableName: tableName,
    IndexName: index,
    ConsistentRead: index === undefined,
    ScanIndexForward: !descending,
    KeyConditionExpression: `#pk = :pk${bound}`,
    FilterExpression: 'attribute_not_exists(#expiry) OR #expiry > :now',
    ExpressionAttributeNames: {
      '#pk': names.pk,
      '#expiry': expiryAttribute,
      ...(bound === '' ? {} : { '#sk': names.sk }),
    },
    ExpressionAttributeValues: {
      ':pk': { S: index === undefined ? pk : shardPk(index, pk, shard) },
      ':now': { N: String(Math.floor(now() / 1000)) },
      ...(after === undefined ? {} : { ':after': { S: after } }),
      ...(before === undefined ? {} : { ':before': { S: before } }),
    },
  };
}

function startKey({ index, pk, shard }: Shard, [sk, itemPk, itemSk]: NonNullable<ShardPlace>): Attributes {
  const key = encodeKey({ pk: itemPk, sk: itemSk });
  if (index === undefined) return key;
  const names = indexAttributes(index);
  return { ...key, [names.pk]: { S: shardPk(index, pk, shard) }, [names.sk]: { S: sk } };
}

/** As DynamoDB orders sort keys: by the bytes of their UTF-8. */
function isBefore(a: string, b: string): boolean {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}

function attributesOf(index: IndexName | undefined): { readonly pk: string; readonly sk: string } {
  return index === undefined ? { pk: 'pk', sk: 'sk' } : indexAttributes(index);
}

function identity({ pk, sk }: Key): string {
  return JSON.stringify([pk, sk]);
}
