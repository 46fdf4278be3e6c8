import { Readable } from 'node:stream';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { CreateQueueCommand, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { Job } from '../../services/core/job.ts';
import type { Pool } from '../../services/core/pool.ts';
import { Accounts } from '../../services/data/accounts.ts';
import { Deliveries } from '../../services/data/deliveries.ts';
import { Files, fileObjectKey } from '../../services/data/files.ts';
import { Pools } from '../../services/data/pools.ts';
import { createS3Client, createS3Objects } from '../../services/ports/objects/s3.ts';
import type { Queue } from '../../services/ports/queue/port.ts';
import { createSqsClient, createSqsQueue } from '../../services/ports/queue/sqs.ts';
import { type CloudTable, openCloudTable, stubLambdaEnvironment } from '../support/cloud-table.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';
import { aJob } from '../support/jobs.ts';
import { startValkey, type ValkeyServer } from '../support/valkey.ts';

const bucket = 'mimeo-sweeper-test';
const prefix = 'mimeo-test-';
const pool: Pool = {
  id: 'local/model@cpu',
  account: 'local',
  model: 'local/model',
  version: 'a'.repeat(64),
  hardware: 'cpu',
  concurrency: 1,
  streams: false,
};
const hour = 3_600_000;
const silent = { traceparent: null, secrets: [] };

let aws: EmulatedAws;
let valkey: ValkeyServer;
let sqs: SQSClient;
let cloud: CloudTable;
let queue: Queue;
let webhookQueue: string;
let handler: typeof import('../../services/sweeper/main.ts')['handler'];

beforeAll(async () => {
  [aws, valkey] = await Promise.all([startEmulatedAws(), startValkey()]);
  sqs = createSqsClient(aws.client);
  const CreateBucketConfiguration = { LocationConstraint: 'eu-central-1' } as const;
  const s3 = createS3Client({ ...aws.client, forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration }));
});
afterAll(async () => {
  sqs.destroy();
  await Promise.all([aws.stop(), valkey.stop()]);
});
beforeEach(async () => {
  cloud = await openCloudTable(aws);
  queue = createSqsQueue({ client: createSqsClient(aws.client), prefix });
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: cloud.tableName }));
  webhookQueue = QueueUrl;
  stubLambdaEnvironment(aws, {
    MIMEO_TABLE: cloud.tableName,
    MIMEO_QUEUE_PREFIX: prefix,
    MIMEO_BUCKET: bucket,
    MIMEO_CHANNEL_URL: valkey.url,
    MIMEO_WEBHOOK_QUEUE_URL: QueueUrl,
  });
  ({ handler } = await import('../../services/sweeper/main.ts'));
});
afterEach(async () => {
  await queue.drop(pool.id);
  await queue.close();
  await cloud.close();
  vi.unstubAllEnvs();
  vi.resetModules();
});

const run = async (event = {}) => handler(event, { getRemainingTimeInMillis: () => 30_000 });

async function created(different: Partial<Job> = {}): Promise<Job> {
  const job = aJob({ createdAt: Date.now() - hour, ...different });
  await cloud.jobs.create(job, { text: 'hi' }, silent);
  return job;
}

async function leased(job: Job, at: number): Promise<Job> {
  const event = { type: 'leased', at, instance: 'one', leaseMs: 60_000 } as const;
  const done = await cloud.jobs.applyTo(job, event);
  if (done?.kind !== 'write') throw new Error('not leased');
  return done.job;
}

async function statusOf({ id }: Job): Promise<Job['status'] | undefined> {
  return (await cloud.jobs.get(id))?.status;
}

it('cancels what is overdue and puts back what has lost its runner', async () => {
  await new Pools(cloud.table).touch(pool, Date.now());
  const overdue = await created({ deadlineAt: Date.now() - 1000 });
  const held = await leased(await created(), Date.now());
  const lost = await leased(await created(), Date.now() - 2 * 60_000);

  await run();

  expect(await statusOf(overdue)).toBe('canceled');
  expect(await statusOf(held)).toBe('processing');
  expect(await statusOf(lost)).toBe('starting');
  expect(await queue.receive(pool.id, { waitSeconds: 1 })).toMatchObject({ jobId: lost.id });
});

it('sends anew what has lost its message while an instance has nothing to do', async () => {
  const pools = new Pools(cloud.table);
  await pools.touch(pool, Date.now());
  const at = Date.now() - 60_000;
  const times = { startedAt: at, readyAt: at, idleSince: at };
  await pools.putState({
    pool: pool.id,
    at,
    desired: 1,
    reason: '',
    instances: [
      { id: 'one', pool: pool.id, phase: 'ready', running: 0, failure: null, setupLogs: '', ...times },
    ],
    breaker: null,
    setupSeconds: [],
  });
  const job = await created();

  await run();

  expect(await queue.receive(pool.id, { waitSeconds: 1 })).toMatchObject({ jobId: job.id });
});

it('removes what has been kept for its time: payloads, and files with their bytes', async () => {
  const old = await created({ createdAt: Date.now() - 3 * hour });
  await cloud.jobs.applyTo(old, { type: 'cancel', at: Date.now() - 2 * hour, reason: 'canceled' });
  const files = new Files(cloud.table);
  const file = { id: 'file-1', account: 'local', expiresAt: Date.now() - 1000 };
  await files.begin(file);
  const objects = createS3Objects({
    client: createS3Client({ ...aws.client, forcePathStyle: true }),
    bucket,
  });
  await objects.put(fileObjectKey(file), Readable.from([Buffer.from('bytes')]), {
    contentType: 'text/plain',
  });

  await run();

  expect(await cloud.jobs.record(old.id)).toMatchObject({ input: {}, job: { dataRemoved: true } });
  expect((await files.expired(Date.now(), { limit: 10 })).items).toEqual([]);
  expect(await objects.get(fileObjectKey(file))).toBeUndefined();
});

it('sends hints for webhooks that are overdue', async () => {
  const { id: job } = await created();
  const at = Date.now() - 60_000;
  const id = `${job}-completed-1`;
  await new Deliveries(cloud.table).create([
    {
      id,
      account: 'local',
      job,
      event: 'completed',
      url: 'https://example.com/',
      state: 'pending',
      createdAt: at,
      nextTryAt: at,
      since: at,
      failures: 0,
      isRedelivery: false,
      attempts: [],
      revision: 0,
    },
  ]);

  await run();

  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: webhookQueue }));
  expect(Messages?.map(({ Body }) => JSON.parse(Body ?? ''))).toEqual([{ delivery: id, dueAt: at }]);
});

it('does all of it without the channel, too', async () => {
  await valkey.stop();
  try {
    const overdue = await created({ deadlineAt: Date.now() - 1000 });

    expect(await run()).toMatchObject({ isComplete: true, failed: [] });
    expect(await statusOf(overdue)).toBe('canceled');
  } finally {
    await valkey.start();
  }
});

it('stands outside of the network, where there is no channel', async () => {
  vi.stubEnv('MIMEO_CHANNEL_URL', undefined);
  vi.resetModules();
  ({ handler } = await import('../../services/sweeper/main.ts'));
  const overdue = await created({ deadlineAt: Date.now() - 1000 });

  expect(await run()).toMatchObject({ isComplete: true, failed: [] });
  expect(await statusOf(overdue)).toBe('canceled');
});

it('verifies the ledger of the last days, and changes nothing', async () => {
  const createdAt = Date.now();
  const account = {
    username: 'local',
    type: 'user',
    name: 'Local',
    githubUrl: null,
    avatarUrl: null,
  } as const;
  await new Accounts(cloud.table).put({ ...account, createdAt });
  const job = await created();
  await cloud.jobs.applyTo(job, { type: 'cancel', at: Date.now() - hour, reason: 'canceled' });

  const report = { accounts: 1, jobs: 1, records: 0, isComplete: true, differences: 1 };
  expect(await run({ task: 'ledger' })).toMatchObject(report);
  expect(await run({ task: 'ledger' })).toMatchObject(report);
});
