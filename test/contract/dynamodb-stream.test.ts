import type { DynamoDBRecord } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { changesOf, handleStream } from '../../services/ports/table/dynamodb-stream.ts';
import type { Change, Item } from '../../services/ports/table/port.ts';
import { type CloudTable, openCloudTable } from '../support/cloud-table.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';

let aws: EmulatedAws;
let cloud: CloudTable;
beforeAll(async () => {
  aws = await startEmulatedAws();
});
afterAll(() => aws.stop());
beforeEach(async () => {
  cloud = await openCloudTable(aws);
});
afterEach(() => cloud.close());

/** What the stream of the table holds. */
async function records(): Promise<DynamoDBRecord[]> {
  const seen: DynamoDBRecord[] = [];
  const feed = await cloud.feed({
    handler: async ({ Records }) => {
      seen.push(...Records);
      return { batchItemFailures: [] };
    },
  });
  await feed.drain();
  await feed.stop();
  return seen;
}

async function tenRecords(): Promise<DynamoDBRecord[]> {
  for (let sk = 0; sk < 10; sk += 1) {
    await cloud.table.write([{ op: 'put', item: { pk: 'a', sk: String(sk), data: { sk } } }]);
  }
  return await records();
}

describe('changes of a stream', () => {
  it('carry items as they were written, counters and deletions, in order', async () => {
    const item: Item = {
      pk: 'a',
      sk: 'b',
      data: { text: 'x', none: null, list: Array.from({ length: 300 }, (_, at) => `element ${at}`) },
      keys: { due: { pk: 'DUE', sk: '1' } },
      expiresAt: 4_000_000_000,
    };
    await cloud.table.write([{ op: 'put', item }]);
    await cloud.table.write([{ op: 'add', key: { pk: 'a', sk: 'sum' }, amounts: { runs: 2 } }]);
    await cloud.table.write([{ op: 'delete', key: item }]);

    const changes = changesOf({ Records: await records() });
    const last = changes.filter(
      ({ key, after }) => key.sk === 'b' || Object.keys(after?.data ?? {}).length > 0,
    );
    expect(last.map(({ key, before, after }) => ({ key, before, after }))).toEqual([
      { key: { pk: 'a', sk: 'b' }, before: undefined, after: item },
      {
        key: { pk: 'a', sk: 'sum' },
        before: undefined,
        after: { pk: 'a', sk: 'sum', data: { runs: 2 } },
      },
      { key: { pk: 'a', sk: 'b' }, before: undefined, after: undefined },
    ]);
    const ids = changes.map(({ id }) => BigInt(id));
    expect(ids).toEqual(ids.toSorted((a, b) => (a < b ? -1 : 1)));
  });

  it('are all handled but those that fail, which are named', async () => {
    const Records = await tenRecords();
    const handled = new Set<string>();
    const told: string[] = [];
    const handle = async (changes: readonly Change[]) => {
      if (changes.some(({ key }) => key.sk === '3' || key.sk === '7')) throw new Error('poison');
      for (const { key } of changes) handled.add(key.sk);
    };

    const answer = await handleStream({ Records }, handle, ({ key }) => told.push(key.sk));

    expect(told).toEqual(['3', '7']);
    expect([...handled].sort().join('')).toBe('01245689');
    expect(answer.batchItemFailures).toEqual(
      [3, 7].map((place) => ({ itemIdentifier: Records[place]?.dynamodb?.SequenceNumber })),
    );
  });

  it('are given back, all from the first one on, where nothing works and time is short', async () => {
    const Records = await tenRecords();
    let now = 0;
    let calls = 0;
    const handle = async () => {
      now += 5000;
      calls += 1;
      throw new Error('no table');
    };

    const answer = await handleStream(
      { Records },
      handle,
      () => undefined,
      () => now,
    );

    expect(calls).toBe(4);
    expect(answer.batchItemFailures[0]).toEqual({ itemIdentifier: Records[0]?.dynamodb?.SequenceNumber });
  });
});
