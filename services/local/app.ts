import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import type { Logger } from 'pino';
import { type Api, createApi } from '../api/app.ts';
import type { ApiLimits } from '../api/limits.ts';
import { endStalledBodies } from '../api/slow-bodies.ts';
import { ProblemError } from '../core/errors.ts';
import { HardwareCatalogue } from '../core/hardware.ts';
import { hashToken } from '../core/ids.ts';
import { defaultPolicy } from '../core/scaling.ts';
import { wantsTraces } from '../core/trace.ts';
import { Accounts } from '../data/accounts.ts';
import { Deliveries, isWebhookChange } from '../data/deliveries.ts';
import { Files } from '../data/files.ts';
import { JobFlow } from '../data/job-flow.ts';
import { isEndedJob, Jobs } from '../data/jobs.ts';
import { Models } from '../data/models.ts';
import { Pools } from '../data/pools.ts';
import { WebhookSecrets } from '../data/webhook-secrets.ts';
import { startDirector } from '../director/app.ts';
import { createPolicies } from '../director/policy.ts';
import { createMetering } from '../metering/app.ts';
import { createMemoryChannel } from '../ports/channel/memory.ts';
import { createProcessFleet } from '../ports/fleet/processes.ts';
import { createMemoryLimits } from '../ports/limits/memory.ts';
import { openFilesystemObjects } from '../ports/objects/filesystem.ts';
import { openSqliteQueue } from '../ports/queue/sqlite.ts';
import { openSqliteTable } from '../ports/table/sqlite.ts';
import { maxSourceBytes } from '../registrar/limits.ts';
import { findPython } from '../registrar/python.ts';
import { SourceRegistrar } from '../registrar/source.ts';
import { startRunner } from '../runner/app.ts';
import { openFileReceiver } from '../runner/file-receiver.ts';
import { repeat, Sweeper } from '../sweeper/app.ts';
import { removeExpiredFiles } from '../sweeper/files.ts';
import { Webhooks } from '../webhooks/app.ts';
import { systemResolver } from '../webhooks/targets.ts';
import { startCollector } from './collector.ts';
import type { LocalEnv } from './env.ts';
import { openHome } from './home.ts';
import { withInternalUrls } from './internal-urls.ts';
import { readTls } from './tls.ts';

/** The account that everything on one machine belongs to. */
export const localAccount = 'local';

/** How long a stop waits for running predictions before they are given back. */
const stopGraceMs = 2000;

/** The whole platform in this process. */
export interface LocalPlatform {
  readonly url: string;
  readonly token: string;
  readonly api: Api;
  readonly models: Models;
  readonly registrar: SourceRegistrar;
  /** Jobs of an earlier process that were taken up again. */
  readonly recovered: number;
  /** Gives running predictions back and leaves no process behind. */
  close(): Promise<void>;
}

/**
 * Starts api, director and a fleet of processes on one machine, over embedded stores.
 * @throws Error whose message says what is wrong and how to mend it
 */
export async function startLocal(env: LocalEnv, logger: Logger): Promise<LocalPlatform> {
  const [home] = await Promise.all([
    openHome(resolve(env.MIMEO_HOME)),
    findPython({ preferred: env.MIMEO_PYTHON }),
  ]);
  const closers: (() => unknown)[] = [];
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await compose(env, home, logger, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function compose(
  env: LocalEnv,
  home: Awaited<ReturnType<typeof openHome>>,
  logger: Logger,
  closers: (() => unknown)[],
  closeAll: () => Promise<void>,
): Promise<LocalPlatform> {
  const now = Date.now;
  const maxFileBytes = Math.floor(env.MIMEO_MAX_FILE_MB * 1024 * 1024);
  const tls = readTls({ cert: env.MIMEO_TLS_CERT, key: env.MIMEO_TLS_KEY });
  let url = env.MIMEO_PUBLIC_URL?.replace(/\/+$/, '') ?? '';
  // The SDK takes a tenth of a second to load, so only who wants traces has it.
  const traces = wantsTraces(env)
    ? (await import('../ports/traces/otlp.ts')).createOtlpTraces({
        serviceName: 'mimeo',
        onProblem: (message) => logger.warn({ problem: message }, 'traces cannot be sent'),
      })
    : undefined;
  closers.push(() => traces?.close());
  const table = openSqliteTable({
    path: join(home.root, 'mimeo.db'),
    synchronous: env.MIMEO_SQLITE_SYNCHRONOUS,
    cursorKey: home.signingKey,
    recordsChange: (item) => isEndedJob(item) || isWebhookChange(item),
    feedImages: 'new',
  });
  closers.push(() => table.close());
  const queue = openSqliteQueue({ path: join(home.root, 'queue.db') });
  closers.push(() => queue.close());
  const channel = createMemoryChannel();
  closers.push(() => channel.close());
  const { signingKey } = home;
  const objectsKey = signingKey.toString('base64');
  const objects = openFilesystemObjects({
    root: join(home.root, 'objects'),
    baseUrl: () => url,
    signingKey: objectsKey,
  });
  const models = new Models(table);
  const pools = new Pools(table);
  const flow = new JobFlow({ jobs: new Jobs(table, objects), queue, channel, logger });
  const registrar = new SourceRegistrar({ home: home.root, python: env.MIMEO_PYTHON });
  const hardware = new HardwareCatalogue(env.MIMEO_PRICES);
  await ensureAccount(new Accounts(table), home.token, now());

  const webhookTargets = { allowHttp: true, allowPrivate: env.MIMEO_WEBHOOK_PRIVATE };
  const api = await createApi({
    table,
    queue,
    channel,
    flow,
    hardware,
    builder: registrar,
    maxSourceBytes,
    objects,
    maxFileBytes,
    servedObjects: { objects, signingKey: objectsKey },
    publicUrl: () => url,
    webhookTargets,
    signingKey,
    now,
    logger,
    limits: limitsOf(env),
    sharedLimits: createMemoryLimits(now),
    corsOrigins: env.MIMEO_CORS_ORIGINS,
    // Behind a public URL, others reach the loopback through whatever forwards to it.
    openMetrics: env.MIMEO_PUBLIC_URL === undefined,
    traces,
  });
  const { fetch } = api;
  const plain = createAdaptorServer({ fetch }) as Server;
  const server = tls
    ? (createAdaptorServer({ fetch, createServer: createTlsServer, serverOptions: tls }) as Server)
    : plain;
  const port = await listen(server, env.MIMEO_PORT);
  if (url === '') url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  closers.push(() => closeServer(server));
  // Models on this machine read their inputs by plain HTTP.
  const internalPort = tls ? await listen(plain, 0) : port;
  if (tls) closers.push(() => closeServer(plain));
  const internalUrl = `http://127.0.0.1:${internalPort}`;

  const retentionSeconds = env.MIMEO_RETENTION_SECONDS;
  const sweeper = new Sweeper({ flow, pools, now, logger, retentionSeconds });
  const recovered = await sweeper.recover();
  closers.push(table.consume(createMetering(table)));
  const webhooks = new Webhooks({
    jobs: flow.jobs,
    deliveries: new Deliveries(table),
    secrets: new WebhookSecrets(table),
    channel,
    prediction: async (...which) => api.predictions.get(...which).catch(undefinedWhereGone),
    policy: webhookTargets,
    traces,
    resolve: systemResolver(webhookTargets),
    now,
    logger,
  });
  closers.push(await webhooks.start(), table.consume(webhooks.consumer));

  const receiver = await openFileReceiver();
  closers.push(() => receiver.close());
  // What an instance is called is no secret.
  const uploadKey = randomBytes(32);
  const doorOf = (instance: string) =>
    receiver.door(createHmac('sha256', uploadKey).update(instance).digest('hex'));
  const fleet = createProcessFleet({
    capacity: env.MIMEO_MAX_INSTANCES,
    launch: async (pool, id) => registrar.launch(pool.version, { uploadUrl: doorOf(id).url }),
    startRunner: ({ id, pool, cogUrl, serverLog, outOfMemory }) =>
      startRunner({
        protocol: withInternalUrls(api.dispatch.protocolFor({ role: 'runner', pool: pool.id }, 'soon'), {
          publicUrl: url,
          internalUrl,
        }),
        instanceId: id,
        pool,
        cogUrl,
        serverLog,
        outOfMemory,
        sentFiles: { door: doorOf(id), maxBytes: maxFileBytes },
        setupTimeoutMs: env.MIMEO_SETUP_TIMEOUT_SECONDS * 1000,
        traces,
      }),
  });
  closers.push(() => fleet.close({ graceMs: stopGraceMs }));
  const director = startDirector({
    protocol: api.dispatch.protocolFor({ role: 'director' }),
    fleet,
    policy: createPolicies({
      ...defaultPolicy,
      max: env.MIMEO_MAX_INSTANCES,
      idleSeconds: env.MIMEO_IDLE_SECONDS,
    }),
    logger,
  });
  closers.push(
    () => director.close(),
    sweeper.start({ deadlineMs: 1000, repairMs: 15_000 }),
    repeat(
      60_000,
      async () => void (await removeExpiredFiles({ files: new Files(table), objects }, now())),
      logger,
    ),
    startCollector({ registrar, models, pools, flow, fleet, now, logger }),
    () => api.drain(),
  );
  return { url, token: home.token, api, models, registrar, recovered, close: closeAll };
}

function undefinedWhereGone(error: unknown): undefined {
  if (!(error instanceof ProblemError && error.code === 'not_found')) throw error;
}

function limitsOf(env: LocalEnv): ApiLimits {
  return {
    predictionsPerMinute: env.MIMEO_RATE_PREDICTIONS,
    requestsPerMinute: env.MIMEO_RATE_REQUESTS,
    concurrentPerAccount: env.MIMEO_MAX_CONCURRENT_PER_ACCOUNT,
    queuedPerPool: env.MIMEO_MAX_QUEUE,
  };
}

async function ensureAccount(accounts: Accounts, token: string, now: number): Promise<void> {
  const known = await accounts.get(localAccount);
  if (!known) {
    await accounts.put({
      username: localAccount,
      type: 'user',
      name: 'This machine',
      githubUrl: null,
      avatarUrl: null,
      createdAt: now,
    });
  }
  if (await accounts.findToken(token)) return;
  const id = hashToken(token).slice(0, 12);
  await accounts.putToken(token, {
    id,
    account: localAccount,
    name: 'local',
    createdAt: now,
    revokedAt: null,
  });
}

async function listen(server: Server, port: number): Promise<number> {
  // Of a client that is slower than this between requests the connection is closed; load balancers must be faster.
  server.keepAliveTimeout = 75_000;
  endStalledBodies(server);
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE') {
      throw new Error(
        `Port ${port} is in use by another program. Stop it, or choose another: MIMEO_PORT=8081 npm start`,
      );
    }
    if (code === 'EACCES')
      throw new Error(`Port ${port} needs more rights than you have. Choose one above 1023 with MIMEO_PORT.`);
    throw error;
  }
  return (server.address() as AddressInfo).port;
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
