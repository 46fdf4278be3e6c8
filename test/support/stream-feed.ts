import { DescribeTableCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { z } from 'zod';
import { type FilterPattern, matchesFilter } from './event-filter.ts';

/** A Lambda function behind a stream, and the settings of its event source mapping. */
export interface StreamTarget {
  readonly handler: (event: DynamoDBStreamEvent) => Promise<DynamoDBBatchResponse | undefined>;
  /** FilterCriteria: a record goes to the function where one of them matches. @default all */
  readonly filters?: readonly FilterPattern[];
  /** @default 100 */
  readonly batchSize?: number;
  /** MaximumRetryAttempts. @default 5 */
  readonly retries?: number;
  /** The destination of what is given up. @default it is lost, as in AWS */
  readonly onDiscard?: (records: readonly DynamoDBRecord[]) => void;
}

/** A table of the emulated cloud whose stream is on. */
export interface StreamSource {
  readonly client: DynamoDBClient;
  readonly endpoint: string;
  readonly tableName: string;
  /** @default eu-central-1 */
  readonly region?: string;
}

export interface StreamFeed {
  /** Resolves when everything that was written before the call has been handled or given up. */
  drain(): Promise<void>;
  /** Resolves when no function runs. */
  stop(): Promise<void>;
}

/** How often the emulated stream is asked for more. */
const pollMs = 50;
/** Between two tries of a batch. */
const retryMs = 20;

/**
 * Polls a table's stream of the emulated cloud from its beginning and calls functions as their event source mappings
 * do: each by itself and in order, in batches, with partial failures (`ReportBatchItemFailures`), failed batches
 * bisected (`BisectBatchOnFunctionError`), tried again and given up.
 */
export async function startStreamFeed(
  source: StreamSource,
  targets: readonly StreamTarget[],
): Promise<StreamFeed> {
  const stream = await openStream(source);
  const pumps = await Promise.all(targets.map(async (target) => startPump(stream, target)));
  return {
    async drain() {
      const count = await stream.count();
      await Promise.all(pumps.map((pump) => pump.reached(count)));
    },
    async stop() {
      await Promise.all(pumps.map((pump) => pump.stop()));
    },
  };
}

interface Stream {
  iterator(): Promise<string>;
  read(iterator: string): Promise<{ readonly records: readonly DynamoDBRecord[]; readonly next: string }>;
  /** How many records it has had so far. */
  count(): Promise<number>;
}

const shardsSchema = z.object({
  StreamDescription: z.object({ Shards: z.array(z.object({ ShardId: z.string() })).length(1) }),
});
const iteratorSchema = z.object({ ShardIterator: z.string() });
const recordsSchema = z.object({
  Records: z.array(z.custom<DynamoDBRecord>((value) => typeof value === 'object')),
  NextShardIterator: z.string(),
});

/** The emulated cloud has one shard a stream. */
async function openStream(source: StreamSource): Promise<Stream> {
  const { region = 'eu-central-1' } = source;
  const { Table } = await source.client.send(new DescribeTableCommand({ TableName: source.tableName }));
  const StreamArn = Table?.LatestStreamArn;
  const call = async <T>(operation: string, body: object, schema: z.ZodType<T>): Promise<T> => {
    const response = await fetch(source.endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.0',
        'x-amz-target': `DynamoDBStreams_20120810.${operation}`,
        // What tells the emulated cloud the region; it checks no signature.
        authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/dynamodb/aws4_request, SignedHeaders=host, Signature=0`,
      },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${operation} answered ${response.status}: ${await response.text()}`);
    return schema.parse(await response.json());
  };
  const { StreamDescription } = await call('DescribeStream', { StreamArn }, shardsSchema);
  const ShardId = StreamDescription.Shards[0]?.ShardId;
  const stream: Stream = {
    async iterator() {
      const from = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' };
      return (await call('GetShardIterator', from, iteratorSchema)).ShardIterator;
    },
    async read(iterator) {
      const got = await call('GetRecords', { ShardIterator: iterator }, recordsSchema);
      return { records: got.Records, next: got.NextShardIterator };
    },
    async count() {
      let count = 0;
      let { records, next } = await stream.read(await stream.iterator());
      while (records.length > 0) {
        count += records.length;
        ({ records, next } = await stream.read(next));
      }
      return count;
    },
  };
  return stream;
}

interface Pump {
  /** Resolves when so many records of the stream are behind it. */
  reached(count: number): Promise<void>;
  stop(): Promise<void>;
}

async function startPump(stream: Stream, target: StreamTarget): Promise<Pump> {
  const { filters, batchSize = 100 } = target;
  let iterator = await stream.iterator();
  let passed = 0;
  let isStopped = false;
  let failure: unknown;
  const run = async () => {
    while (!isStopped) {
      const { records, next } = await stream.read(iterator);
      const wanted = records.filter((one) => filters === undefined || matchesAny(one, filters));
      for (let start = 0; start < wanted.length && !isStopped; start += batchSize) {
        await invoke(target, wanted.slice(start, start + batchSize), () => isStopped);
      }
      iterator = next;
      passed += records.length;
      if (records.length === 0) await pause(pollMs);
    }
  };
  const running = run().catch((error: unknown) => {
    failure = error;
  });
  return {
    async reached(count) {
      while (passed < count && !isStopped) {
        if (failure !== undefined) throw failure;
        await pause(5);
      }
    },
    async stop() {
      isStopped = true;
      await running;
    },
  };
}

function matchesAny(record: DynamoDBRecord, filters: readonly FilterPattern[]): boolean {
  return filters.some((filter) => matchesFilter(record, filter));
}

/** One batch until it is handled or given up. */
async function invoke(
  target: StreamTarget,
  records: readonly DynamoDBRecord[],
  isStopped: () => boolean,
): Promise<void> {
  const { retries = 5 } = target;
  let left = records;
  for (let tries = 0; left.length > 0 && !isStopped(); tries += 1) {
    if (tries > retries) return target.onDiscard?.(left);
    if (tries > 0) await pause(retryMs);
    const answer = await target
      .handler({ Records: structuredClone([...left]) })
      .catch(() => 'threw' as const);
    if (answer === 'threw') {
      if (left.length === 1) continue;
      // BisectBatchOnFunctionError: each half has tries of its own.
      const half = Math.ceil(left.length / 2);
      await invoke(target, left.slice(0, half), isStopped);
      return await invoke(target, left.slice(half), isStopped);
    }
    const failed = new Set(answer?.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
    const lowest = left.findIndex(({ dynamodb }) => failed.has(dynamodb?.SequenceNumber ?? ''));
    if (failed.size > 0 && lowest === -1)
      throw new Error('The function named a record that it was not given');
    left = lowest === -1 ? [] : left.slice(lowest);
  }
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
