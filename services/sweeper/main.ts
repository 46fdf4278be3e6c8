import type { Context } from 'aws-lambda';
import { pino } from 'pino';
import { openCloud } from '../cloud.ts';
import { logMeasured } from '../core/log-lines.ts';
import { Accounts } from '../data/accounts.ts';
import { Deliveries } from '../data/deliveries.ts';
import { Files } from '../data/files.ts';
import { JobFlow } from '../data/job-flow.ts';
import { Jobs } from '../data/jobs.ts';
import { Pools } from '../data/pools.ts';
import { verifyInTurns } from '../metering/ledger-turns.ts';
import { createSqsClient } from '../ports/queue/sqs.ts';
import { createSqsSender } from '../ports/queue/sqs-sender.ts';
import { resolveSecrets } from '../secrets.ts';
import { hintOverdue } from '../webhooks/queued.ts';
import { Sweeper } from './app.ts';
import { parseSweeperEnv, type SweeperEvent, sweeperEventSchema } from './env.ts';
import { endOfRound, marginMs, sweepRound } from './round.ts';

/** Hints that one round sends for webhooks. */
const mostHints = 2000;
/** Jobs of these days are verified. */
const verifiedMs = 2 * 24 * 3_600_000;

const env = parseSweeperEnv(await resolveSecrets(process.env));
const logger = pino({ level: env.MIMEO_LOG_LEVEL, base: { service: 'sweeper' } });
const { table, queue, objects, channel } = await openCloud(env, logger);
const now = Date.now;
const jobs = new Jobs(table, objects, { expireDataAfterSeconds: env.MIMEO_RETENTION_SECONDS });
const flow = new JobFlow({ jobs, queue, channel, logger });
const pools = new Pools(table);
const retentionSeconds = env.MIMEO_RETENTION_SECONDS;
const sender = createSqsSender({ client: createSqsClient(), queueUrl: env.MIMEO_WEBHOOK_QUEUE_URL });
const deliveries = new Deliveries(table);
const parts = {
  sweeper: new Sweeper({ flow, pools, now, retentionSeconds, logger }),
  table,
  flow,
  pools,
  files: new Files(table),
  objects,
  queue,
  hintWebhooks: async () => hintOverdue({ deliveries, jobs, now, sender }, mostHints),
  now,
  logger,
};

/**
 * The Lambda function that a schedule calls each minute, and another one each day for the ledger.
 * @returns what it did, for who calls it by hand
 */
export async function handler(
  event: SweeperEvent,
  context: Pick<Context, 'getRemainingTimeInMillis'>,
): Promise<object> {
  const remainingMs = context.getRemainingTimeInMillis();
  const { task } = sweeperEventSchema.parse(event);
  return task === 'ledger'
    ? await verify(now() + remainingMs - marginMs)
    : await sweep(endOfRound(now(), remainingMs));
}

async function sweep(endsAt: number): Promise<object> {
  const startedAt = now();
  const report = await sweepRound(parts, endsAt);
  const line = { ...report, ms: now() - startedAt };
  logMeasured((fields, message) => logger.info(fields, message), 'swept', line);
  // So that the function counts as failed, for alarms.
  if (report.failed.length > 0) throw new Error(`Parts of the sweep failed: ${report.failed.join(', ')}`);
  return report;
}

async function verify(endsAt: number): Promise<object> {
  const accounts = await new Accounts(table).names();
  const { differences, ...report } = await verifyInTurns({
    table,
    accounts,
    now,
    since: now() - verifiedMs,
    isTimeUp: () => now() >= endsAt,
  });
  const seen = { ...report, differences: differences.length };
  if (differences.length > 0) {
    const line = { ...seen, first: differences[0] };
    const log = (fields: object, message: string) => logger.error(fields, message);
    logMeasured(log, 'the ledger differs: npx mimeo ledger verify', line);
  } else if (report.isComplete) logger.info(seen, 'the ledger was verified');
  else logger.warn(seen, 'there was no time to verify all of the ledger; the next run goes on');
  return seen;
}
