import { CreateQueueCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { DynamoDBRecord } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { signCapability } from '../../services/api/capability.ts';
import type { Job } from '../../services/core/job.ts';
import type { WebhookEvent } from '../../services/core/webhook.ts';
import { Deliveries, isWebhookChange } from '../../services/data/deliveries.ts';
import { createSqsClient } from '../../services/ports/queue/sqs.ts';
import { changesOf } from '../../services/ports/table/dynamodb-stream.ts';
import { webhookFilters } from '../../services/webhooks/env.ts';
import { type CloudTable, openCloudTable, stubLambdaEnvironment } from '../support/cloud-table.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';
import { aJob } from '../support/jobs.ts';
import { startQueueFeed } from '../support/queue-feed.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import type { StreamFeed } from '../support/stream-feed.ts';

const streamKey = Buffer.alloc(32, 1);
const soon = { timeout: 15_000, interval: 20 };
let aws: EmulatedAws;
let sqs: SQSClient;
let cloud: CloudTable;
let receiver: Receiver;
let answers: number[];

beforeAll(async () => {
  aws = await startEmulatedAws();
  sqs = createSqsClient(aws.client);
});
afterAll(async () => {
  sqs.destroy();
  await aws.stop();
});
beforeEach(async () => {
  answers = [];
  cloud = await openCloudTable(aws);
  receiver = await startReceiver((response) => response.writeHead(answers.shift() ?? 200).end());
});
afterEach(async () => {
  await cloud.close();
  await receiver.close();
  vi.unstubAllEnvs();
  vi.resetModules();
});

/** The function, called by the stream and by its queue, until the test's work is done. */
async function whileItRuns(work: (feed: StreamFeed) => Promise<void>): Promise<void> {
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: cloud.tableName }));
  stubLambdaEnvironment(aws, {
    MIMEO_TABLE: cloud.tableName,
    MIMEO_BUCKET: 'mimeo-test',
    MIMEO_STREAM_KEY: streamKey.toString('base64'),
    MIMEO_PUBLIC_URL: 'https://mimeo.example.com',
    MIMEO_WEBHOOK_QUEUE_URL: QueueUrl,
    MIMEO_WEBHOOK_PRIVATE: 'true',
  });
  const { handler } = await import('../../services/webhooks/main.ts');
  const feed = await cloud.feed({ handler, filters: webhookFilters });
  const stopQueue = startQueueFeed({ client: sqs, queueUrl: QueueUrl }, handler);
  try {
    await work(feed);
  } finally {
    await feed.stop();
    await stopQueue();
  }
}

/** A job that began; with a webhook where it has events. */
async function begun(webhookEvents: readonly WebhookEvent[] | null, more: Partial<Job> = {}): Promise<Job> {
  const at = Date.now();
  const job = aJob({ createdAt: at, webhookEvents, ...more });
  const webhook = webhookEvents ? `${receiver.url}/hook` : undefined;
  await cloud.jobs.create(job, { text: 'hi' }, { traceparent: null, secrets: [], webhook });
  const leased = await cloud.jobs.applyTo(job, { type: 'leased', at, instance: 'one', leaseMs: 60_000 });
  if (leased?.kind !== 'write') throw new Error('not leased');
  return leased.job;
}

async function end(job: Job): Promise<void> {
  const outcome = { status: 'succeeded', predictMs: 1 } as const;
  const event = {
    type: 'ended',
    at: Date.now(),
    attempt: 1,
    outcome,
    outputShown: false,
    acceptedAfterMs: 0,
  };
  const result = { output: 'hello', logs: '', metrics: {}, attempt: 1 };
  await cloud.jobs.applyTo(job, event as Parameters<typeof cloud.jobs.applyTo>[1], result);
}

/** The events that arrived. */
function arrived(): string[] {
  return receiver.received.map(({ headers }) => String(headers['webhook-id']).split('-')[1] ?? '');
}

describe('the webhooks function', () => {
  it('posts the start and the end of a prediction, as it reads then, signed', async () => {
    const job = await begun(['start', 'completed']);
    await whileItRuns(async () => {
      await vi.waitFor(() => expect(arrived()).toEqual(['start']), soon);
      await end(job);
      await vi.waitFor(() => expect(arrived()).toEqual(['start', 'completed']), soon);
    });

    const [start, completed] = receiver.received;
    expect(JSON.parse(start?.body ?? '')).toMatchObject({ id: job.id, status: 'processing' });
    expect(JSON.parse(completed?.body ?? '')).toMatchObject({ status: 'succeeded', output: 'hello' });
    expect(completed?.headers['webhook-signature']).toMatch(/^v1,/);
  });

  it('signs a stream by a key that is good for nothing else', async () => {
    await begun(['start'], { streams: true });
    await whileItRuns(async () => {
      await vi.waitFor(() => expect(arrived()).toEqual(['start']), soon);
    });

    const { id, urls } = JSON.parse(receiver.received[0]?.body ?? '');
    const { searchParams } = new URL(urls.stream);
    const expiresAt = Number(searchParams.get('expires'));
    expect(searchParams.get('signature')).toBe(signCapability(streamKey, `stream:${id}`, expiresAt));
    expect(process.env.MIMEO_SIGNING_KEY).toBeUndefined();
  });

  it('comes back to a receiver that was down, under the same id', async () => {
    answers = [503];
    await end(await begun(['completed']));
    await whileItRuns(async () => {
      await vi.waitFor(() => expect(receiver.received).toHaveLength(2), soon);
    });

    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids).size).toBe(1);
    const delivery = await new Deliveries(cloud.table).get(String(ids[0]));
    expect(delivery?.attempts.map(({ status }) => status)).toEqual([503, 200]);
  });

  it('sends what a person asks for again at once', async () => {
    const deliveries = new Deliveries(cloud.table);
    const job = await begun(['completed']);
    await end(job);
    await whileItRuns(async () => {
      await vi.waitFor(() => expect(receiver.received).toHaveLength(1), soon);
      const id = `${job.id}-completed-1`;
      await vi.waitFor(async () => expect((await deliveries.get(id))?.state).toBe('delivered'), soon);
      await deliveries.update(id, (known) => ({
        ...known,
        state: 'pending',
        nextTryAt: Date.now(),
        since: known.since + 1,
        failures: 0,
        isRedelivery: true,
      }));
      await vi.waitFor(() => expect(receiver.received).toHaveLength(2), soon);
    });
  });

  it('is called for what webhooks are told of only', async () => {
    await end(await begun(null));
    const job = await begun(['start', 'output', 'completed']);
    await cloud.jobs.checkpoint(job, { output: 'he', logs: '', metrics: {}, attempt: 1 });
    await cloud.jobs.checkpoint(job, { output: 'hel', logs: '', metrics: {}, attempt: 1 }, 'output');
    await end(job);
    const seen: DynamoDBRecord[] = [];
    const feed = await cloud.feed({
      filters: webhookFilters,
      handler: async (event) => {
        seen.push(...event.Records);
        return { batchItemFailures: [] };
      },
    });
    await feed.drain();
    await feed.stop();

    const told = changesOf({ Records: seen }).map(({ after }) => after);
    expect(told.map((item) => item && isWebhookChange(item))).toEqual([true, true, true]);
    expect(new Set(told.map((item) => item?.pk))).toEqual(new Set([`JOB#${job.id}`]));
  });
});
