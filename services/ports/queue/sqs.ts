import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  GetQueueUrlCommand,
  QueueDeletedRecently,
  QueueDoesNotExist,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
  type SQSClientConfig,
  type Message as SqsMessage,
} from '@aws-sdk/client-sqs';
import { z } from 'zod';
import {
  assertDelay,
  assertWait,
  visibilitySeconds as defaultVisibilitySeconds,
  type Message,
  maxWaitSeconds,
  type Queue,
  type Received,
} from './port.ts';

/** SQS: the longest time that a message is kept, 14 days. */
const retentionSeconds = 14 * 24 * 3600;
/** A hint is handed out again and again while its job waits: only one that nobody ever removes is dead. */
const maxReceiveCount = 1000;

/** A queue that was just made is not known everywhere: SQS asks for a second before it is used. */
const newQueuePauseMs = 1000;
/** By a known URL, by the queue's name, and after that second. */
const mostTries = 3;

/** Seconds between two polls while a queue that was just removed cannot be made anew. */
const removedPauseSeconds = 5;

/** What is left of a poll by the time that an api which leaves closes its queue. */
const defaultClosingMs = 10_000;

/** How long the answer to a poll may have been under way: a message counts as another's too early, never too late. */
const answerMs = 500;

export interface SqsQueueOptions {
  readonly client: SQSClient;
  /** What every queue's name begins with, for policies to name; at most 40 characters. */
  readonly prefix: string;
  /** Where messages go that nobody removes. */
  readonly deadLetterArn?: string;
  /** Seconds after which a message that was received and not removed is handed out again. @default 30 */
  readonly visibilitySeconds?: number;
  /** How long `close` waits for polls that are under way. @default 10 s */
  readonly closingMs?: number;
}

/** Long polls that one process can have open: each has a connection of its own, and must not keep others waiting. */
const maxConnections = 5000;

/** A client whose long polls do not stand in each other's way. */
export function createSqsClient(options: SQSClientConfig = {}): SQSClient {
  const agent = { keepAlive: true, maxSockets: maxConnections };
  const requestHandler = {
    httpAgent: agent,
    httpsAgent: agent,
    connectionTimeout: 1000,
    requestTimeout: (maxWaitSeconds + 5) * 1000,
    throwOnRequestTimeout: true,
  };
  return new SQSClient({ requestHandler, ...options });
}

/** What a queue's messages hold. */
const bodySchema = z.object({ jobId: z.string(), group: z.string() });

/** A receiver that waits for a message. */
interface Waiter {
  hand(received: Received | undefined): void;
}

/** The name of a pool's queue: a hash, because pools' names are longer than the 80 characters that SQS takes. */
export function queueName(prefix: string, pool: string): string {
  return `${prefix}${createHash('sha256').update(pool).digest('hex').slice(0, 40)}`;
}

/**
 * One standard queue of SQS a pool, made with its first message. A message's group is its account, which makes them
 * fair queues. A poll is never broken off, because its answer may be under way: what comes for a receiver that has
 * left goes to another one that waits here, or back.
 */
export function createSqsQueue(options: SqsQueueOptions): Queue {
  const { client, prefix, deadLetterArn, closingMs = defaultClosingMs } = options;
  const { visibilitySeconds = defaultVisibilitySeconds } = options;
  const urls = new Map<string, Promise<string>>();
  const waiters = new Map<string, Set<Waiter>>();
  /** Under way, with what becomes of their messages. */
  const polls = new Set<Promise<void>>();
  let isClosed = false;

  function urlOf(pool: string): Promise<string> {
    let url = urls.get(pool);
    if (url === undefined) {
      url = findOrMake(pool);
      urls.set(pool, url);
      url.catch(() => urls.delete(pool));
    }
    return url;
  }

  async function findOrMake(pool: string): Promise<string> {
    const QueueName = queueName(prefix, pool);
    try {
      const { QueueUrl = '' } = await client.send(new GetQueueUrlCommand({ QueueName }));
      return QueueUrl;
    } catch (error) {
      if (!(error instanceof QueueDoesNotExist)) throw error;
    }
    const redrive = deadLetterArn && { deadLetterTargetArn: deadLetterArn, maxReceiveCount };
    const { QueueUrl = '' } = await client.send(
      new CreateQueueCommand({
        QueueName,
        Attributes: {
          VisibilityTimeout: String(visibilitySeconds),
          MessageRetentionPeriod: String(retentionSeconds),
          SqsManagedSseEnabled: 'true',
          ...(redrive ? { RedrivePolicy: JSON.stringify(redrive) } : {}),
        },
        tags: { 'mimeo:pool': pool.replace(/[^\w .:/=+@-]/g, '_').slice(0, 256) },
      }),
    );
    return QueueUrl;
  }

  /** Calls with the queue's URL; where the queue was removed meanwhile, makes it anew. */
  async function withQueue<T>(pool: string, call: (url: string) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await call(await urlOf(pool));
      } catch (error) {
        if (!(error instanceof QueueDoesNotExist) || tries === mostTries) throw error;
        urls.delete(pool);
        if (tries > 1) await pause(newQueuePauseMs);
      }
    }
  }

  /**
   * For 60 s after a queue was removed SQS makes none of its name. A hint that is lost then the sweeper sends anew.
   * @returns undefined where that is why `call` failed
   */
  async function unlessJustRemoved<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      if (error instanceof QueueDeletedRecently) return undefined;
      throw error;
    }
  }

  async function poll(pool: string, waitSeconds: number): Promise<Received | undefined> {
    const polled = await unlessJustRemoved(async () => receiveOne(pool, waitSeconds));
    if (polled === undefined)
      await pause(Math.min(waitSeconds, removedPauseSeconds) * 1000, undefined, { ref: false });
    const { message, url } = polled ?? {};
    if (message === undefined || url === undefined) return undefined;
    return received(url, message, Date.now() + visibilitySeconds * 1000 - answerMs);
  }

  async function receiveOne(
    pool: string,
    waitSeconds: number,
  ): Promise<{ readonly message: SqsMessage | undefined; readonly url: string }> {
    return await withQueue(pool, async (QueueUrl) => {
      const answer = await client.send(
        new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: 1,
          WaitTimeSeconds: Math.floor(waitSeconds),
        }),
      );
      return { message: answer.Messages?.[0], url: QueueUrl };
    });
  }

  function received(QueueUrl: string, message: SqsMessage, heldUntil: number): Received | undefined {
    const { ReceiptHandle } = message;
    const body = bodySchema.safeParse(parse(message.Body));
    // Not ours: it stays until the dead-letter queue gets it.
    if (!body.success) return undefined;
    let isHeld = true;
    const settle = async (action: () => Promise<unknown>) => {
      // After its time the message may be another receiver's.
      if (!isHeld || Date.now() >= heldUntil) return;
      isHeld = false;
      await action();
    };
    return {
      ...body.data,
      remove: () => settle(async () => client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }))),
      release: () =>
        settle(async () =>
          client.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 })),
        ),
    };
  }

  function waitersOf(pool: string): Set<Waiter> {
    let set = waiters.get(pool);
    if (set === undefined) {
      set = new Set();
      waiters.set(pool, set);
    }
    return set;
  }

  /** To whoever waits longest here; back into the queue where nobody does. */
  async function offer(pool: string, message: Received): Promise<void> {
    const [waiter] = waiters.get(pool) ?? [];
    if (waiter) waiter.hand(message);
    else await message.release();
  }

  return {
    async send(pool, { jobId, group }: Message, { delaySeconds = 0 } = {}) {
      assertDelay(delaySeconds);
      const message = {
        MessageBody: JSON.stringify({ jobId, group }),
        MessageGroupId: group,
        ...(delaySeconds > 0 ? { DelaySeconds: Math.ceil(delaySeconds) } : {}),
      };
      await unlessJustRemoved(async () =>
        withQueue(pool, async (QueueUrl) => client.send(new SendMessageCommand({ QueueUrl, ...message }))),
      );
    },

    async receive(pool, { waitSeconds, signal }) {
      assertWait(waitSeconds);
      if (isClosed) throw new Error('The queue is closed');
      if (signal?.aborted) return undefined;
      const waiting = waitersOf(pool);
      const { promise, resolve, reject } = Promise.withResolvers<Received | undefined>();
      const waiter: Waiter = {
        hand(message) {
          waiting.delete(waiter);
          // By then others may wait in a set of their own.
          if (waiting.size === 0 && waiters.get(pool) === waiting) waiters.delete(pool);
          signal?.removeEventListener('abort', leave);
          resolve(message);
        },
      };
      const leave = () => waiter.hand(undefined);
      waiting.add(waiter);
      signal?.addEventListener('abort', leave);
      const polling = poll(pool, waitSeconds)
        .then(async (message) => {
          if (message && waiting.has(waiter)) waiter.hand(message);
          else if (message) await offer(pool, message);
        })
        // Whoever has left needs to know of no failure.
        .catch(reject)
        .finally(leave);
      polls.add(polling);
      void polling.finally(() => polls.delete(polling));
      return await promise;
    },

    async drop(pool) {
      try {
        const QueueUrl = await client
          .send(new GetQueueUrlCommand({ QueueName: queueName(prefix, pool) }))
          .then((found) => found.QueueUrl);
        await client.send(new DeleteQueueCommand({ QueueUrl }));
      } catch (error) {
        if (!(error instanceof QueueDoesNotExist)) throw error;
      } finally {
        urls.delete(pool);
      }
    },

    async close() {
      isClosed = true;
      for (const set of waiters.values()) for (const waiter of [...set]) waiter.hand(undefined);
      // What is answered into a connection that is gone would be hidden for as long as if somebody worked on it.
      await Promise.race([Promise.all(polls), pause(closingMs, undefined, { ref: false })]);
      client.destroy();
    },
  };
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
