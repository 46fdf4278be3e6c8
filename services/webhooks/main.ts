import type { DynamoDBBatchResponse, DynamoDBStreamEvent, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { pino } from 'pino';
import { Predictions } from '../api/predictions.ts';
import { openObjects, openTable } from '../cloud.ts';
import { ProblemError } from '../core/errors.ts';
import { HardwareCatalogue } from '../core/hardware.ts';
import { logMeasured } from '../core/log-lines.ts';
import { Deliveries } from '../data/deliveries.ts';
import { JobFlow } from '../data/job-flow.ts';
import { Jobs } from '../data/jobs.ts';
import { Pools } from '../data/pools.ts';
import { WebhookSecrets } from '../data/webhook-secrets.ts';
import { createNoChannel } from '../ports/channel/none.ts';
import { createNoQueue } from '../ports/queue/none.ts';
import { createSqsClient } from '../ports/queue/sqs.ts';
import { createSqsSender } from '../ports/queue/sqs-sender.ts';
import { handleStream } from '../ports/table/dynamodb-stream.ts';
import { resolveSecrets } from '../secrets.ts';
import { parseWebhooksEnv } from './env.ts';
import { deliveryMaker, handleMessage } from './queued.ts';
import { systemResolver } from './targets.ts';

const env = parseWebhooksEnv(await resolveSecrets(process.env));
const logger = pino({ level: env.MIMEO_LOG_LEVEL, base: { service: 'webhooks' } });
const table = openTable(env);
const objects = openObjects(env);
const jobs = new Jobs(table, objects);
// Posts go out to the internet, so the function is outside of the network that the channel is in.
const channel = createNoChannel();
const predictions = new Predictions({
  flow: new JobFlow({ jobs, queue: createNoQueue(), channel }),
  pools: new Pools(table),
  channel,
  objects,
  hardware: new HardwareCatalogue(),
  publicUrl: () => env.MIMEO_PUBLIC_URL,
  streamKey: env.MIMEO_STREAM_KEY,
  now: Date.now,
});
const policy = { allowHttp: env.MIMEO_WEBHOOK_PRIVATE, allowPrivate: env.MIMEO_WEBHOOK_PRIVATE };
const parts = {
  jobs,
  deliveries: new Deliveries(table),
  secrets: new WebhookSecrets(table),
  prediction: async (id: string, account: string, mostBytes: number) =>
    predictions.get(id, account, mostBytes).catch(undefinedWhereGone),
  policy,
  resolve: systemResolver(policy),
  now: Date.now,
  sender: createSqsSender({ client: createSqsClient(), queueUrl: env.MIMEO_WEBHOOK_QUEUE_URL }),
};
const maker = deliveryMaker(parts);

/** The Lambda function behind the table's stream, where deliveries are made, and behind the queue of their tries. */
export async function handler(
  event: DynamoDBStreamEvent | SQSEvent,
): Promise<DynamoDBBatchResponse | SQSBatchResponse> {
  return isFromQueue(event) ? await tryAll(event) : await makeAll(event);
}

function isFromQueue(event: DynamoDBStreamEvent | SQSEvent): event is SQSEvent {
  const [first] = event.Records;
  return first !== undefined && 'messageId' in first;
}

async function makeAll(event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> {
  const answer = await handleStream(
    event,
    (changes) => maker.handle(changes),
    ({ id, key }, error) =>
      logger.error({ err: error, change: id, key }, 'deliveries of a change could not be made'),
  );
  logger.info(
    { changes: event.Records.length, failed: answer.batchItemFailures.length },
    'deliveries were made',
  );
  return answer;
}

async function tryAll(event: SQSEvent): Promise<SQSBatchResponse> {
  const startedAt = performance.now();
  // What takes too long ends by the time limit of a try.
  const { signal } = new AbortController();
  const batchItemFailures: SQSBatchResponse['batchItemFailures'] = [];
  const counts = { delivered: 0, refused: 0, dead: 0 };
  await Promise.all(
    event.Records.map(async ({ messageId, body }) => {
      try {
        const outcome = await handleMessage(parts, body, signal);
        if (outcome) counts[outcome] += 1;
      } catch (error) {
        logger.error({ err: error, message: messageId }, 'a webhook could not be tried');
        batchItemFailures.push({ itemIdentifier: messageId });
      }
    }),
  );
  const ms = Math.round(performance.now() - startedAt);
  logMeasured((line, message) => logger.info(line, message), 'webhooks were tried', {
    tries: event.Records.length,
    failed: batchItemFailures.length,
    ...counts,
    ms,
  });
  return { batchItemFailures };
}

function undefinedWhereGone(error: unknown): undefined {
  if (!(error instanceof ProblemError && error.code === 'not_found')) throw error;
}
