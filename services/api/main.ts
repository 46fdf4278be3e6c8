import { type Logger, pino } from 'pino';
import { openCloud, openLimits } from '../cloud.ts';
import { ProblemError } from '../core/errors.ts';
import { HardwareCatalogue } from '../core/hardware.ts';
import { wantsTraces } from '../core/trace.ts';
import { Accounts } from '../data/accounts.ts';
import { JobFlow } from '../data/job-flow.ts';
import { Jobs } from '../data/jobs.ts';
import { bytesHeldByPut } from '../ports/objects/s3.ts';
import { createEcrAccess } from '../ports/registry/ecr.ts';
import type { Table } from '../ports/table/port.ts';
import { resolveSecrets } from '../secrets.ts';
import { createApi } from './app.ts';
import { type ApiEnvironment, parseApiEnv } from './env.ts';
import { ensureFirstToken, firstAccount } from './first-token.ts';
import type { SourceBuilder } from './routes/versions-push.ts';
import { serveApi } from './server.ts';
import { SharedConcurrency } from './shared-concurrency.ts';

/** In a table that bills each read a director is answered at once after a pause, and then this often at most. */
const demandSpacingMs = 1000;

/** Of a task's 512 MiB, the least that it can have. */
const maxUploadBytesHeld = 192 * 1024 * 1024;

/** Nothing is built in the cloud: versions come from images. */
const noBuilder: SourceBuilder = {
  async build() {
    throw new ProblemError(
      'invalid_model',
      'This server takes images, not folders. Build and push one: npx mimeo push DIR OWNER/NAME',
    );
  },
};

/** Serves the public API and the fleet protocol over the cloud's stores, until SIGTERM. */
async function main(): Promise<void> {
  const env = parseApiEnv(await resolveSecrets(process.env));
  const logger = pino({ level: env.MIMEO_LOG_LEVEL, base: { service: 'api' } });
  const traces = wantsTraces(env)
    ? (await import('../ports/traces/otlp.ts')).createOtlpTraces({
        serviceName: 'mimeo-api',
        onProblem: (message) => logger.warn({ problem: message }, 'traces cannot be sent'),
      })
    : undefined;
  const cloud = await openCloud(env, logger);
  const { table, queue, channel, objects } = cloud;
  await makeFirstToken(env.MIMEO_FIRST_TOKEN_SECRET_ARN, table, logger);
  const webhookTargets = { allowHttp: env.MIMEO_WEBHOOK_PRIVATE, allowPrivate: env.MIMEO_WEBHOOK_PRIVATE };
  const jobs = new Jobs(table, objects, { expireDataAfterSeconds: env.MIMEO_RETENTION_SECONDS });
  const flow = new JobFlow({ jobs, queue, channel, logger });
  const limits = await openLimits(env, logger);
  const most = env.MIMEO_MAX_CONCURRENT_PER_ACCOUNT;
  const api = await createApi({
    table,
    queue,
    channel,
    objects,
    flow,
    hardware: new HardwareCatalogue(env.MIMEO_PRICES),
    builder: noBuilder,
    maxSourceBytes: 0,
    registry: createEcrAccess({
      roleArn: env.MIMEO_PUSH_ROLE_ARN,
      prefix: env.MIMEO_REPOSITORY_PREFIX,
      url: env.MIMEO_REGISTRY_URL,
    }),
    publicUrl: () => env.MIMEO_PUBLIC_URL,
    maxFileBytes: Math.floor(env.MIMEO_MAX_FILE_MB * 1024 * 1024),
    uploadRoom: { bytes: maxUploadBytesHeld, bytesEach: bytesHeldByPut },
    webhookTargets,
    signingKey: env.MIMEO_SIGNING_KEY,
    now: Date.now,
    logger,
    demandSpacingMs,
    limits: limitsOf(env),
    sharedLimits: limits,
    concurrency: most > 0 ? new SharedConcurrency(most, limits, flow) : undefined,
    corsOrigins: env.MIMEO_CORS_ORIGINS,
    cluster: clusterOf(env),
    traces,
  });
  const server = await serveApi(api, {
    host: env.MIMEO_HOST,
    port: env.MIMEO_PORT,
    idleTimeoutSeconds: env.MIMEO_IDLE_TIMEOUT_SECONDS,
    drainSeconds: env.MIMEO_DRAIN_SECONDS,
    deregistrationSeconds: env.MIMEO_DEREGISTRATION_SECONDS,
  });
  logger.info({ port: server.port }, 'the api is ready');
  let isEnding = false;
  const end = async (signal: string) => {
    if (isEnding) return;
    isEnding = true;
    logger.info({ signal }, 'the api is leaving');
    await server.drain();
    await traces?.close();
    await limits.close();
    await cloud.close();
    process.exit(0);
  };
  process.on('SIGTERM', (signal) => void end(signal).catch(fail));
  process.on('SIGINT', (signal) => void end(signal).catch(fail));
}

/** Nobody else can let the first person in. */
async function makeFirstToken(secretId: string | undefined, table: Table, logger: Logger): Promise<void> {
  if (secretId === undefined) return;
  const { createSecretsManager } = await import('../ports/secrets/secrets-manager.ts');
  const secrets = createSecretsManager();
  const isNew = await ensureFirstToken({ accounts: new Accounts(table), secrets, secretId, now: Date.now });
  secrets.close();
  if (isNew) logger.info({ account: firstAccount, secret: secretId }, 'the first token was made');
}

function clusterOf(env: ApiEnvironment) {
  const { MIMEO_CLUSTER_ISSUER: issuer, MIMEO_DIRECTOR_SERVICE_ACCOUNT: directorAccount } = env;
  if (issuer !== undefined && directorAccount !== undefined) return { issuer, directorAccount };
  if (issuer === undefined && directorAccount === undefined) return undefined;
  throw new Error('MIMEO_CLUSTER_ISSUER and MIMEO_DIRECTOR_SERVICE_ACCOUNT go together: set both or none');
}

function limitsOf(env: ApiEnvironment) {
  return {
    predictionsPerMinute: env.MIMEO_RATE_PREDICTIONS,
    requestsPerMinute: env.MIMEO_RATE_REQUESTS,
    concurrentPerAccount: env.MIMEO_MAX_CONCURRENT_PER_ACCOUNT,
    queuedPerPool: env.MIMEO_MAX_QUEUE,
  };
}

function fail(error: unknown): void {
  console.error(`mimeo api: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

main().catch(fail);
