import { setTimeout as pause } from 'node:timers/promises';
import { ListQueuesCommand, QueueDeletedRecently, QueueDoesNotExist } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createSqsClient, createSqsQueue, type SqsQueueOptions } from '../../services/ports/queue/sqs.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';
import { describeQueue } from './queue.ts';

const visibilitySeconds = 3;
let aws: EmulatedAws;

beforeAll(async () => {
  aws = await startEmulatedAws();
});
afterAll(() => aws.stop());

const open = (options: Partial<SqsQueueOptions> = {}) =>
  createSqsQueue({
    client: createSqsClient(aws.client),
    prefix: 'mimeo-test-jobs-',
    visibilitySeconds,
    ...options,
  });

describeQueue(
  'SQS',
  async () => {
    const queue = open();
    // The emulated queue's own clock is what is waited for.
    return { queue, passSeconds: (seconds) => pause(seconds * 1000), dispose: () => queue.close() };
  },
  { visibilitySeconds, reopens: false, takesTurns: false },
);

it('names a queue for a pool of any name, under its prefix', async () => {
  const queue = open();
  const pool = `ada/${'long-model-name-'.repeat(8)}:gpu-t4`;
  await queue.send(pool, { jobId: 'job', group: 'ada' });
  const { QueueUrls } = await createSqsClient(aws.client).send(
    new ListQueuesCommand({ QueueNamePrefix: 'mimeo-test-jobs-' }),
  );

  for (const url of QueueUrls ?? []) expect(url.split('/').at(-1)).toMatch(/^mimeo-test-jobs-[0-9a-f]{40}$/);
  expect(await queue.receive(pool, { waitSeconds: 0 })).toMatchObject({ jobId: 'job', group: 'ada' });
  await queue.close();
});

it('tells of a queue that it may not read, and does not pass it off as empty', async () => {
  const client = createSqsClient(aws.client);
  client.middlewareStack.add(
    () => async () => {
      throw Object.assign(new Error('no'), { name: 'AccessDenied', $fault: 'client' });
    },
    { step: 'finalizeRequest', priority: 'low' },
  );
  const queue = createSqsQueue({ client, prefix: 'mimeo-test-jobs-' });

  await expect(queue.receive('pool', { waitSeconds: 20 })).rejects.toThrow('no');
  await queue.close();
});

it('wakes all who wait when it is closed, also those who came after others had left', async () => {
  const queue = open({ closingMs: 100 });
  await queue.send('late', { jobId: 'job', group: 'ada' });
  const abort = new AbortController();
  const first = queue.receive('late', { waitSeconds: 1, signal: abort.signal });
  abort.abort();
  await first;
  await queue.receive('late', { waitSeconds: 1 });
  const last = queue.receive('late', { waitSeconds: 20 });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await queue.close();

  expect(await last).toBeUndefined();
});

it('puts back what comes after its end, while its connections are still there', async () => {
  const prefix = 'mimeo-test-leaving-';
  const client = createSqsClient(aws.client);
  const [polling, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const answer = await next(args);
      if (context.commandName !== 'ReceiveMessageCommand') return answer;
      polling.resolve();
      await goOn.promise;
      return answer;
    },
    { step: 'initialize' },
  );
  const destroy = vi.spyOn(client, 'destroy');
  const leaving = createSqsQueue({ client, prefix });
  await leaving.send('pool', { jobId: 'job', group: 'ada' });
  const waiting = leaving.receive('pool', { waitSeconds: 5 });
  await polling.promise;

  const closing = leaving.close();
  expect(await waiting).toBeUndefined();
  expect(destroy).not.toHaveBeenCalled();
  goOn.resolve();
  await closing;

  expect(destroy).toHaveBeenCalled();
  const other = open({ prefix, visibilitySeconds: 30 });
  expect(await other.receive('pool', { waitSeconds: 0 })).toMatchObject({ jobId: 'job' });
  await other.close();
});

it('goes on without a queue that was just removed, until SQS makes it anew', async () => {
  const client = createSqsClient(aws.client);
  let isTooEarly = true;
  client.middlewareStack.add(
    (next, context) => async (args) => {
      if (isTooEarly && context.commandName === 'CreateQueueCommand')
        throw new QueueDeletedRecently({ message: 'Wait 60 seconds.', $metadata: {} });
      return await next(args);
    },
    { step: 'initialize' },
  );
  const queue = createSqsQueue({ client, prefix: 'mimeo-test-removed-' });
  await queue.send('pool', { jobId: 'lost', group: 'ada' });
  expect(await queue.receive('pool', { waitSeconds: 0 })).toBeUndefined();

  isTooEarly = false;
  await queue.send('pool', { jobId: 'job', group: 'ada' });
  expect(await queue.receive('pool', { waitSeconds: 0 })).toMatchObject({ jobId: 'job' });
  await queue.close();
});

it('waits for a queue that was just made and is not known everywhere yet', async () => {
  const client = createSqsClient(aws.client);
  let refusals = 0;
  client.middlewareStack.add(
    (next, context) => async (args) => {
      if (context.commandName === 'SendMessageCommand' && refusals < 2) {
        refusals += 1;
        throw new QueueDoesNotExist({ message: 'Unknown queue', $metadata: {} });
      }
      return await next(args);
    },
    { step: 'initialize' },
  );
  const queue = createSqsQueue({ client, prefix: 'mimeo-test-new-' });

  await queue.send('pool', { jobId: 'job', group: 'ada' });

  expect(await queue.receive('pool', { waitSeconds: 0 })).toMatchObject({ jobId: 'job' });
  await queue.close();
});
