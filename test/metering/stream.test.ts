import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { hasEnded, type Job } from '../../services/core/job.ts';
import { jobItem } from '../../services/data/job-items.ts';
import { Models } from '../../services/data/models.ts';
import { Usage } from '../../services/data/usage.ts';
import { createMetering } from '../../services/metering/app.ts';
import { meteringFilters } from '../../services/metering/env.ts';
import { changesOf, handleStream } from '../../services/ports/table/dynamodb-stream.ts';
import { type CloudTable, openCloudTable, stubLambdaEnvironment } from '../support/cloud-table.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';
import { aJob } from '../support/jobs.ts';

const at = Date.UTC(2026, 10, 21);
const silent = { traceparent: null, secrets: [] };
let aws: EmulatedAws;
let cloud: CloudTable;

beforeAll(async () => {
  aws = await startEmulatedAws();
});
afterAll(() => aws.stop());
beforeEach(async () => {
  cloud = await openCloudTable(aws);
});
afterEach(async () => {
  await cloud.close();
  vi.unstubAllEnvs();
  vi.resetModules();
});

/** The function as AWS would start it. */
async function startFunction(): Promise<(event: DynamoDBStreamEvent) => Promise<DynamoDBBatchResponse>> {
  stubLambdaEnvironment(aws, { MIMEO_TABLE: cloud.tableName });
  return (await import('../../services/metering/main.ts')).handler;
}

/** A job that has gone through its whole life in the table. */
async function live(different: Partial<Job> = {}): Promise<Job> {
  const job = aJob({ createdAt: at, ...different });
  await cloud.jobs.create(job, { text: 'hi' }, silent);
  const leased = await cloud.jobs.applyTo(job, { type: 'leased', at, instance: 'one', leaseMs: 60_000 });
  if (leased?.kind !== 'write') throw new Error('not leased');
  const ended = await cloud.jobs.applyTo(
    leased.job,
    {
      type: 'ended',
      at: at + 2000,
      attempt: 1,
      outcome: { status: 'succeeded', predictMs: 2000 },
      outputShown: false,
      acceptedAfterMs: 0,
    },
    { output: 'hi', logs: '', metrics: {}, attempt: 1 },
  );
  if (ended?.kind !== 'write') throw new Error('not ended');
  return ended.job;
}

async function total(account = 'local'): Promise<{ readonly runs: number; readonly costMicroUsd: number }> {
  const counters = await new Usage(cloud.table).counters(account, '2026-11');
  return counters.find(({ of }) => of === 'TOTAL')?.sums ?? { runs: 0, costMicroUsd: 0 };
}

describe('the metering function behind the stream', () => {
  it('writes records and sums them by day, model, deployment, hardware and token', async () => {
    const jobs = [
      await live(),
      await live({ model: 'local/other', deployment: 'local/fast', token: 'second' }),
      await live({ account: 'ada' }),
    ];
    const feed = await cloud.feed({ handler: await startFunction(), filters: meteringFilters });
    await feed.drain();
    await feed.stop();

    const usage = new Usage(cloud.table);
    const once = { runs: 1, billedMs: 2000, costMicroUsd: 200 };
    const twice = { runs: 2, billedMs: 4000, costMicroUsd: 400 };
    expect(await usage.counters('local', '2026-11')).toEqual([
      { of: 'DAY#2026-11-21', sums: twice },
      { of: 'DEPLOYMENT#local/fast', sums: once },
      { of: 'MODEL#local/model', sums: once },
      { of: 'MODEL#local/other', sums: once },
      { of: 'SKU#cpu', sums: twice },
      { of: 'TOKEN#second', sums: once },
      { of: 'TOKEN#token', sums: once },
      { of: 'TOTAL', sums: twice },
    ]);
    expect(await total('ada')).toEqual(once);
    for (const job of jobs) {
      const record = await usage.get({ ...job, endedAt: Number(job.completedAt) });
      expect(record).toMatchObject({ id: job.id, costMicroUsd: 200 });
    }
    expect(await new Models(cloud.table).runCount('local/model')).toBe(2);
  });

  it('is called for the ends of jobs only', async () => {
    const ended = await live();
    const waiting = aJob({ createdAt: at });
    await cloud.jobs.create(waiting, {}, silent);
    await cloud.jobs.retention.removeData([ended]);
    const seen: DynamoDBRecord[] = [];
    const feed = await cloud.feed({
      filters: meteringFilters,
      handler: async (event) => {
        seen.push(...event.Records);
        return { batchItemFailures: [] };
      },
    });
    await feed.drain();
    await feed.stop();

    const rows = changesOf({ Records: seen });
    expect(rows.map(({ key, after }) => [key.sk, after?.data.id, after?.data.status])).toEqual([
      ['JOB', ended.id, 'succeeded'],
    ]);
  });

  it('counts once what is handed out again, in parts, in another order and after failures', async () => {
    const jobs: Job[] = [];
    for (let count = 0; count < 6; count += 1) jobs.push(await live({ model: `local/m${count % 2}` }));
    const records = await recordsOf();
    const metering = createMetering(cloud.table);

    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.nat(records.length - 1), { minLength: 1, maxLength: 6 }), { maxLength: 3 }),
        fc.nat(3),
        async (batches, failing) => {
          let calls = 0;
          // One by one: of two transactions at once, moto keeps half.
          for (const places of batches) {
            const event = { Records: places.flatMap((place) => records[place] ?? []) };
            await handleStream(
              event,
              async (changes) => {
                calls += 1;
                // Before its write, or after it, whose answer is lost then.
                if (calls % 4 === failing && calls % 2 === 0) throw new Error('cut short');
                await metering.handle(changes);
                if (calls % 4 === failing) throw new Error('cut short');
              },
              () => undefined,
            );
          }
          const seen = (await new Usage(cloud.table).list('local', at, { limit: 100 })).items;
          expect(await total()).toMatchObject({ runs: seen.length, costMicroUsd: 200 * seen.length });
        },
      ),
      // The same each time: some of what chance brings takes a minute of bisections on a busy machine.
      { numRuns: 5, seed: 20_261_122 },
    );
    const feed = await cloud.feed({ handler: await startFunction(), filters: meteringFilters, batchSize: 3 });
    await feed.drain();
    await feed.stop();

    expect(await total()).toEqual({ runs: 6, billedMs: 12_000, costMicroUsd: 1200 });
    expect(await new Models(cloud.table).runCount('local/m1')).toBe(3);
  });

  it('names what it cannot handle, and handles the rest', async () => {
    const [first, , third] = [await live(), await live(), await live()];
    const records = (await recordsOf()).filter(
      ({ dynamodb }) => dynamodb?.NewImage?.d?.M?.status?.S === 'succeeded',
    );
    const version = records[1]?.dynamodb?.NewImage?.d?.M?.v;
    if (version) version.N = '2';
    const handler = await startFunction();

    const answer = await handler({ Records: records });

    expect(answer.batchItemFailures).toEqual([{ itemIdentifier: records[1]?.dynamodb?.SequenceNumber }]);
    const known = (await new Usage(cloud.table).list('local', at, { limit: 100 })).items;
    expect(known.map(({ id }) => id).sort()).toEqual([first.id, third.id].sort());
  });
});

describe('a change that can never be handled', () => {
  it('is given up after some tries and costs no other its record', async () => {
    const before = await live();
    const row = jobItem(aJob({ status: 'failed', completedAt: at }));
    await cloud.table.write([{ op: 'put', item: { ...row, data: { ...row.data, v: 99 } } }]);
    const after = await live();
    const given: DynamoDBRecord[] = [];
    const feed = await cloud.feed({
      handler: await startFunction(),
      filters: meteringFilters,
      retries: 2,
      onDiscard: (records) => given.push(...records),
    });
    await feed.drain();
    await feed.stop();

    expect(changesOf({ Records: given })[0]?.key).toEqual({ pk: row.pk, sk: row.sk });
    const known = (await new Usage(cloud.table).list('local', at, { limit: 100 })).items;
    expect(known.map(({ id }) => id).sort()).toEqual([before.id, after.id].sort());
    expect(await total()).toMatchObject({ runs: 2 });
  });
});

/** All that the stream holds for the function. */
async function recordsOf(): Promise<DynamoDBRecord[]> {
  const records: DynamoDBRecord[] = [];
  const feed = await cloud.feed({
    filters: meteringFilters,
    handler: async (event) => {
      records.push(...event.Records);
      return { batchItemFailures: [] };
    },
  });
  await feed.drain();
  await feed.stop();
  return records.filter(({ dynamodb }) => hasEnded(dynamodb?.NewImage?.d?.M?.status?.S as Job['status']));
}
