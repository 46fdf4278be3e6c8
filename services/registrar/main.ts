import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { createEcrLogins } from '../ports/registry/ecr.ts';
import { createDynamoClient, createDynamoTable } from '../ports/table/dynamodb.ts';
import { resolveSecrets } from '../secrets.ts';
import { ImageRegistrar, type PushOutcome } from './app.ts';
import { parseRegistrarEnv } from './env.ts';
import { readPushEvent } from './push-event.ts';
import { openRegistry } from './registry.ts';

const env = parseRegistrarEnv(await resolveSecrets(process.env));
const logger = pino({ level: env.MIMEO_LOG_LEVEL });
const registrar = new ImageRegistrar({
  table: createDynamoTable({
    client: createDynamoClient(),
    tableName: env.MIMEO_TABLE,
    // It hands out no cursors, so it needs no key that others know.
    cursorKey: randomBytes(32),
  }),
  registry: openRegistry(createEcrLogins({ url: env.MIMEO_REGISTRY_URL })),
  prefix: env.MIMEO_REPOSITORY_PREFIX,
  now: Date.now,
  logger,
});

/**
 * The Lambda function behind EventBridge's `ECR Image Action`. It answers with what became of the push; where it throws,
 * Lambda calls it again.
 */
export async function handler(event: unknown): Promise<PushOutcome> {
  const push = readPushEvent(event);
  if (push) return await registrar.handle(push);
  logger.warn('an event that tells of no push was left alone');
  return { outcome: 'ignored' };
}
