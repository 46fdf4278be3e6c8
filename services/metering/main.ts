import { randomBytes } from 'node:crypto';
import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import { pino } from 'pino';
import { logMeasured } from '../core/log-lines.ts';
import { createDynamoClient, createDynamoTable } from '../ports/table/dynamodb.ts';
import { handleStream } from '../ports/table/dynamodb-stream.ts';
import { resolveSecrets } from '../secrets.ts';
import { createMetering } from './app.ts';
import { endedLine } from './ended-line.ts';
import { parseMeteringEnv } from './env.ts';

const env = parseMeteringEnv(await resolveSecrets(process.env));
const logger = pino({ level: env.MIMEO_LOG_LEVEL, base: { service: 'metering' } });
const table = createDynamoTable({
  client: createDynamoClient(),
  tableName: env.MIMEO_TABLE,
  // No list of this function goes on in another process.
  cursorKey: randomBytes(32),
});
const metering = createMetering(table, (job) =>
  logMeasured((line, message) => logger.info(line, message), 'a job ended', endedLine(job)),
);

/** The Lambda function behind the table's stream: the ends of jobs become usage records and counters. */
export async function handler(event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> {
  const startedAt = performance.now();
  const answer = await handleStream(
    event,
    (changes) => metering.handle(changes),
    ({ id, key }, error) => logger.error({ err: error, change: id, key }, 'a change could not be metered'),
  );
  const ms = Math.round(performance.now() - startedAt);
  logger.info({ changes: event.Records.length, failed: answer.batchItemFailures.length, ms }, 'metered');
  return answer;
}
