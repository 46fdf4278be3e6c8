import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linesOf, perMillion } from '../../bench/cost/bill.ts';
import { itemBytes, readUnits, writeUnits } from '../../bench/cost/capacity.ts';
import type { Tallies } from '../../bench/cost/count-requests.ts';
import { busyFor, type LifeTallies, liveThrough, storesFile } from '../../bench/cost/lives.ts';
import { type CountedPlatform, startCountedPlatform } from '../../bench/cost/platform.ts';
import { encodeItem } from '../../services/ports/table/dynamodb-items.ts';

const key = { pk: 'A', sk: 'B' };
const listing = { pk: 'L', sk: '1' };
const item = encodeItem({ ...key, data: { text: 'a' } });
const listed = encodeItem({ ...key, data: { text: 'a' }, keys: { listing } });

describe('DynamoDB charges', () => {
  it('for each KB that is begun, of the larger of what was and what is', () => {
    const large = encodeItem({ ...key, data: { text: 'a'.repeat(1500) } });

    expect(itemBytes(item)).toBe('pkA'.length + 'skB'.length + 'd'.length + 3 + 'texta'.length + 1);
    expect([writeUnits(undefined, item), writeUnits(undefined, large)]).toEqual([1, 2]);
    expect([writeUnits(large, item), writeUnits(large, undefined)]).toEqual([2, 2]);
  });

  it('for an index where the item comes to be in it, leaves it, or moves in it, which is both', () => {
    const moved = encodeItem({ ...key, data: { text: 'b' }, keys: { listing: { pk: 'L', sk: '2' } } });
    const changed = encodeItem({ ...key, data: { text: 'c' }, keys: { listing } });

    expect([writeUnits(item, listed), writeUnits(listed, item)]).toEqual([2, 2]);
    expect(writeUnits(listed, moved)).toBe(3);
    expect(writeUnits(listed, changed)).toBe(1);
  });

  it('twice for an item in a transaction, and once for what follows in its indexes', () => {
    expect(writeUnits(undefined, listed, { isTransaction: true })).toBe(3);
    expect(writeUnits(item, item, { isTransaction: true })).toBe(2);
  });

  it('for each 4 KB that are read, half of it where they may be a moment old', () => {
    expect([readUnits(0, true), readUnits(4096, true), readUnits(4097, true)]).toEqual([1, 1, 2]);
    expect(readUnits(4097, false)).toBe(1);
  });
});

it('a million is charged by units for the table, and by requests for the rest', () => {
  const tallies = {
    'DynamoDB PutItem JOB/JOB': { requests: 6, writeUnits: 8, readUnits: 0 },
    'SQS SendMessage': { requests: 2, writeUnits: 0, readUnits: 0 },
    'S3 DeleteObject': { requests: 2, writeUnits: 0, readUnits: 0 },
  };

  expect(linesOf(tallies, 2).map(({ requests, usdPerMillion }) => [requests, usdPerMillion])).toEqual([
    [3, expect.closeTo(2.5)],
    [1, expect.closeTo(0.4)],
    [1, 0],
  ]);
  expect(perMillion(tallies, 2)).toBeCloseTo(2.9);
});

describe('predictions of 1 KB in and out, 2 s, with Prefer: wait, through two processes of the api', () => {
  const predictions = 2;
  let platform: CountedPlatform;
  let lived: LifeTallies;
  beforeAll(async () => {
    platform = await startCountedPlatform();
    lived = await liveThrough(platform, predictions, busyFor(2));
  });
  afterAll(() => platform.close());

  it('are each written five times, one item at a time, and go over the queue once', () => {
    const each = linesOf(lived.run, predictions).map(
      ({ name, requests, writeUnits: units }) => [name, requests, units] as const,
    );

    expect(each.filter(([name]) => !/^DynamoDB (GetItem|Query) /.test(name))).toEqual([
      ['DynamoDB PutItem JOB/INPUT', 1, 1],
      // Created: the row and two indexes. Leased: it moves in one. Ended: it leaves one.
      ['DynamoDB PutItem JOB/JOB', 3, 3 + 3 + 2],
      ['DynamoDB PutItem JOB/RESULT', 1, 1],
      ['SQS DeleteMessage', 1, 0],
      ['SQS ReceiveMessage', 1, 0],
      ['SQS SendMessage', 1, 0],
    ]);
  });

  it('are each read by the lease, by the look after 2 s and at the end, with the model that is run', () => {
    const reads = linesOf(lived.run, predictions).filter(({ readUnits: units }) => units > 0);
    const requestsOf = (name: string) => reads.find((line) => line.name === name)?.requests ?? 0;

    // A token is read every 30 s.
    const names = reads.map(({ name }) => name).filter((name) => name !== 'DynamoDB GetItem TOKEN/TOKEN');
    expect(names).toEqual(['DynamoDB GetItem MODEL/MODEL', 'DynamoDB Query JOB']);
    expect(requestsOf('DynamoDB GetItem MODEL/MODEL')).toBeLessThanOrEqual(1);
    // One look more where the machine is so busy that it all takes 4 s.
    expect(requestsOf('DynamoDB Query JOB')).toBeLessThanOrEqual(4);
  });

  it('are metered together, in one transaction', () => {
    const writes = Object.entries(lived.metering).filter(([, { writeUnits: units }]) => units > 0);

    expect(writes).toEqual([
      [expect.stringMatching(/^DynamoDB TransactWriteItems USAGE/), expect.anything()],
    ]);
    expect(writes[0]?.[1].requests).toBe(1);
  });

  it('cost no write when their time to be kept is over', () => {
    const isRead = (tallies: Tallies) => Object.values(tallies).every(({ writeUnits: units }) => units === 0);

    expect(Object.keys(lived.retention).length).toBeGreaterThan(0);
    expect(isRead(lived.retention)).toBe(true);
  });

  it('have the objects removed that they put out', async () => {
    const { run, retention } = await liveThrough(platform, 1, storesFile(platform));

    expect(run['DynamoDB PutItem JOBFILES']?.requests).toBe(1);
    expect(retention['S3 DeleteObject']?.requests).toBeGreaterThan(0);
  });
});
