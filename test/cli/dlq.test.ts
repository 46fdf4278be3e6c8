import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ExplainedLetter } from '../../services/operator.ts';
import { createSqsClient, createSqsQueue } from '../../services/ports/queue/sqs.ts';
import { type CloudTable, openCloudTable } from '../support/cloud-table.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';
import { aJob } from '../support/jobs.ts';
import { mimeo } from './command.ts';

const prefix = 'mimeo-test-dlq-';
const options = { traceparent: null, secrets: [] };
let aws: EmulatedAws;
let sqs: SQSClient;
let cloud: CloudTable;
let queueUrl: string;
let env: Record<string, string>;

beforeAll(async () => {
  aws = await startEmulatedAws();
  sqs = createSqsClient(aws.client);
  cloud = await openCloudTable(aws);
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'mimeo-dead' }));
  queueUrl = QueueUrl;
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  );
  const { endpoint, region, credentials } = aws.client;
  env = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    MIMEO_TABLE: cloud.tableName,
    MIMEO_DEAD_LETTER_ARN: Attributes?.QueueArn ?? '',
  };
});
afterAll(async () => {
  await cloud.close();
  sqs.destroy();
  await aws.stop();
});

async function die(body: string): Promise<string> {
  const { MessageId = '' } = await sqs.send(
    new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: body }),
  );
  return MessageId;
}

async function list(): Promise<ExplainedLetter[]> {
  const { code, stdout } = await mimeo(['dlq', 'list', '--json'], { env });
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

test('explains each dead message, sends again what is needed, and drops the rest', async () => {
  const waiting = aJob({ createdAt: Date.now() });
  const ended = aJob({ createdAt: Date.now() });
  for (const job of [waiting, ended]) await cloud.jobs.create(job, {}, options);
  await cloud.jobs.applyTo(ended, { type: 'cancel', at: Date.now(), reason: 'canceled' });
  const hint = (jobId: string) => JSON.stringify({ jobId, group: 'local' });
  const ids = {
    waiting: await die(hint(waiting.id)),
    ended: await die(hint(ended.id)),
    absent: await die(hint('nonesuch')),
    webhook: await die(JSON.stringify({ delivery: `${ended.id}-completed-0`, dueAt: 1 })),
    foreign: await die('no JSON'),
  };
  const expected = [
    { id: ids.waiting, kind: 'job', of: waiting.id, state: 'starting', advice: 'redrive', done: null },
    { id: ids.ended, kind: 'job', of: ended.id, state: 'canceled', advice: 'drop', done: null },
    { id: ids.absent, kind: 'job', of: 'nonesuch', state: null, advice: 'drop', done: null },
    { id: ids.webhook, kind: 'webhook', state: null, advice: 'drop', done: null },
    { id: ids.foreign, kind: 'unknown', of: null, advice: 'keep', done: null },
  ];

  const listed = await list();
  expect(listed).toHaveLength(5);
  for (const one of expected) expect(listed.find(({ id }) => id === one.id)).toMatchObject(one);
  const shown = await mimeo(['dlq', 'show', ids.ended], { env });
  expect(shown.stdout).toContain(`job ${ended.id} (canceled)  the job has ended (canceled)`);

  const one = await mimeo(['dlq', 'redrive', ids.waiting, '--queue-prefix', prefix], { env });
  expect(one).toMatchObject({ code: 0 });
  const queue = createSqsQueue({ client: createSqsClient(aws.client), prefix });
  expect(await queue.receive(waiting.pool, { waitSeconds: 1 })).toMatchObject({ jobId: waiting.id });
  await queue.close();
  expect(await mimeo(['dlq', 'redrive', '--all'], { env })).toMatchObject({ code: 0 });
  expect((await list()).map(({ id }) => id)).toEqual([ids.foreign]);
});

test('loses nothing where it does not know where to send a job', async () => {
  const waiting = aJob({ createdAt: Date.now() });
  await cloud.jobs.create(waiting, {}, options);
  const id = await die(JSON.stringify({ jobId: waiting.id, group: 'local' }));

  const { code, stderr } = await mimeo(['dlq', 'redrive', id], { env });

  expect(code).toBe(1);
  expect(stderr).toContain('--queue-prefix');
  expect((await list()).map((letter) => letter.id)).toContain(id);
});

test('says what it needs to be told', async () => {
  const { code, stderr } = await mimeo(['dlq', 'list']);

  expect(code).toBe(2);
  expect(stderr).toContain('--table and --arn');
});
