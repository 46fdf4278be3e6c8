import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { meteringFilters } from '../../services/metering/env.ts';
import { handler as meter } from '../../services/metering/main.ts';
import { createSqsClient } from '../../services/ports/queue/sqs.ts';
import { createDynamoClient } from '../../services/ports/table/dynamodb.ts';
import { handler as sweep } from '../../services/sweeper/main.ts';
import { webhookFilters } from '../../services/webhooks/env.ts';
import { handler as callWebhooks } from '../../services/webhooks/main.ts';
import { startQueueFeed } from './queue-feed.ts';
import { type StreamTarget, startStreamFeed } from './stream-feed.ts';

// Started as a process of its own by startCloud: the Lambda functions, called as their sources and schedules do.
const sweepEveryMs = 5000;
const { AWS_ENDPOINT_URL: endpoint = '', MIMEO_TABLE: tableName = '', MIMEO_WEBHOOK_QUEUE_URL } = process.env;
const logger = pino();
const webhooks = callWebhooks as unknown as StreamTarget['handler'] & Parameters<typeof startQueueFeed>[1];
const feed = await startStreamFeed({ client: createDynamoClient(), endpoint, tableName }, [
  { handler: meter, filters: meteringFilters },
  { handler: webhooks, filters: webhookFilters },
]);
const queue = { client: createSqsClient(), queueUrl: MIMEO_WEBHOOK_QUEUE_URL ?? '' };
const stopQueue = startQueueFeed(queue, webhooks);
const ending = new AbortController();
const sweeping = sweepAgainAndAgain();
process.on('SIGTERM', () => {
  ending.abort();
  void Promise.all([feed.stop(), stopQueue(), sweeping]).finally(() => process.exit(0));
});
logger.info('the functions are ready');

async function sweepAgainAndAgain(): Promise<void> {
  while (!ending.signal.aborted) {
    await pause(sweepEveryMs, undefined, { signal: ending.signal }).catch(() => undefined);
    if (ending.signal.aborted) return;
    await sweep({}, { getRemainingTimeInMillis: () => 30_000 }).catch((error: unknown) =>
      logger.warn({ err: error }, 'a sweep failed'),
    );
  }
}
