import { OpenAPIHono } from '@hono/zod-openapi';
import type { HonoRequest, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import type { Logger } from 'pino';
import { ProblemError } from '../core/errors.ts';
import type { HardwareCatalogue } from '../core/hardware.ts';
import { streamKeyOf } from '../core/signing-keys.ts';
import { traceOfLog } from '../core/trace.ts';
import type { TargetPolicy } from '../core/webhook.ts';
import { Accounts } from '../data/accounts.ts';
import { Deliveries } from '../data/deliveries.ts';
import { Examples } from '../data/examples.ts';
import { Files } from '../data/files.ts';
import { InstanceRecords } from '../data/instance-records.ts';
import { InstanceReports } from '../data/instance-reports.ts';
import type { JobFlow } from '../data/job-flow.ts';
import { ModelScaling } from '../data/model-scaling.ts';
import { Models } from '../data/models.ts';
import { Pools } from '../data/pools.ts';
import { WebhookSecrets } from '../data/webhook-secrets.ts';
import type { Channel } from '../ports/channel/port.ts';
import type { Limits } from '../ports/limits/port.ts';
import type { Objects } from '../ports/objects/port.ts';
import type { Queue } from '../ports/queue/port.ts';
import type { RegistryAccess } from '../ports/registry/port.ts';
import type { Table } from '../ports/table/port.ts';
import type { Traces } from '../ports/traces/port.ts';
import { type ApiEnv, authenticator } from './auth.ts';
import { BootHistory } from './boot-history.ts';
import { Catalogue } from './catalogue.ts';
import { ClusterTokens, type ClusterTrust } from './cluster-tokens.ts';
import { Concurrency, type ConcurrencyLimit } from './concurrency.ts';
import { Dispatch } from './dispatch.ts';
import { FileUploads } from './file-uploads.ts';
import { FleetTokens } from './fleet-tokens.ts';
import { recordJobSpans } from './job-spans.ts';
import { type ApiLimits, RateLimiter } from './limits.ts';
import { Metrics, metricsRoute } from './metrics.ts';
import { modelBodies } from './model-bodies.ts';
import { type Caller, Predictions } from './predictions.ts';
import { handleErrors, handleInvalid, handleNotFound } from './problems.ts';
import { traceRequests } from './request-spans.ts';
import { RouteTable } from './route-table.ts';
import { accountRoutes } from './routes/account.ts';
import { exampleRoutes } from './routes/examples.ts';
import { fileDownloadRoutes, fileRoutes, filesPath } from './routes/files.ts';
import { fleetRoutes } from './routes/fleet.ts';
import { healthRoutes } from './routes/health.ts';
import { instanceRoutes } from './routes/instances.ts';
import { modelSettingsRoutes } from './routes/model-settings.ts';
import { modelWarmthRoutes } from './routes/model-warmth.ts';
import { modelRoutes } from './routes/models.ts';
import { objectRoutes, type ServedObjects } from './routes/objects.ts';
import { poolRoutes } from './routes/pools.ts';
import { predictionRoutes } from './routes/predictions.ts';
import { registryRoutes } from './routes/registry.ts';
import { runnerRoutes } from './routes/runners.ts';
import { streamRoutes } from './routes/streams.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { type SourceBuilder, versionPushRoutes } from './routes/versions-push.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { ScaledPools } from './scaled-pools.ts';
import { UploadRoom, type UploadRoomSize } from './upload-room.ts';

/** Longest JSON body, bytes; larger inputs are files. */
const maxBodyBytes = 10 * 1024 * 1024;

/** What the api needs of the world. */
export interface ApiParts {
  readonly table: Table;
  readonly queue: Queue;
  readonly channel: Channel;
  readonly flow: JobFlow;
  readonly hardware: HardwareCatalogue;
  readonly builder: SourceBuilder;
  /** Most bytes that the files of a pushed model may have together. */
  readonly maxSourceBytes: number;
  /** Given where versions are made of images in a container registry, and not of folders. */
  readonly registry?: RegistryAccess;
  /** Of this server as its clients reach it, without a slash at the end; known once it listens. */
  readonly publicUrl: () => string;
  readonly objects: Objects;
  /** Largest file that may be uploaded. */
  readonly maxFileBytes: number;
  /** What uploads hold of this process's memory. @default next to nothing, and no limit */
  readonly uploadRoom?: UploadRoomSize;
  /** Given where the api itself serves the signed URLs of objects; downloads of files are redirected to them elsewhere. */
  readonly servedObjects?: ServedObjects;
  /** What webhooks may call. @default https at public addresses */
  readonly webhookTargets?: TargetPolicy;
  /** Signs URLs of streams and downloads, and fleet tokens; 32 bytes. */
  readonly signingKey: Buffer;
  readonly now: () => number;
  readonly logger: Logger;
  /** Least time between two looks at all pools for a director. @default 0 */
  readonly demandSpacingMs?: number;
  /** @default none */
  readonly limits?: ApiLimits;
  /** Where rates are counted; without, they are not limited. */
  readonly sharedLimits?: Limits;
  /** Given where several processes hold accounts to their concurrency together. */
  readonly concurrency?: ConcurrencyLimit;
  /** Origins of web pages that may call the API; `*` for all. @default none */
  readonly corsOrigins?: readonly string[];
  /** Whether `/metrics` needs no token, as where only this machine can reach it. @default false */
  readonly openMetrics?: boolean;
  /** Given where a cluster's director proves itself by a token of its ServiceAccount. */
  readonly cluster?: ClusterTrust;
  /** Given where requests and predictions are traced. */
  readonly traces?: Traces;
}

export interface Api {
  readonly app: OpenAPIHono<ApiEnv>;
  /** The app, with its requests counted: what a server is given. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** The control plane's side of the fleet protocol, for peers in the same process. */
  readonly dispatch: Dispatch;
  readonly fleetTokens: FleetTokens;
  /** What webhooks carry. */
  readonly predictions: Predictions;
  /** From now on `/readyz` tells load balancers to send nothing more, and the fleet's polls end at once. */
  readonly drain: () => void;
  /** Ends streams and waits, so that their clients come back. */
  readonly leave: () => void;
}

/** The public API, the streams and the control plane's side of the fleet protocol. */
export async function createApi(parts: ApiParts): Promise<Api> {
  const { table, channel, objects, hardware, publicUrl, signingKey, now, flow } = parts;
  const models = new Models(table);
  const accounts = new Accounts(table);
  const pools = new Pools(table);
  const records = new InstanceRecords(table);
  const scaling = new ModelScaling(table);
  const history = new BootHistory({ models, pools });
  const catalogue = new Catalogue(models);
  const examples = new Examples(table, flow.jobs);
  const fleetTokens = new FleetTokens(signingKey, now);
  const clusterTokens = parts.cluster && new ClusterTokens(parts.cluster, now);
  const dispatch = new Dispatch({
    flow,
    pools,
    reports: new InstanceReports(table),
    records,
    scaled: new ScaledPools({ models, scaling }),
    queue: parts.queue,
    channel,
    objects,
    now,
    demandSpacingMs: parts.demandSpacingMs,
    logger: parts.logger,
  });
  await dispatch.start();
  const { concurrentPerAccount, queuedPerPool } = parts.limits ?? {};
  const own = concurrentPerAccount && !parts.concurrency ? new Concurrency(concurrentPerAccount) : undefined;
  await own?.follow(flow, pools);
  const concurrency = parts.concurrency ?? own;
  const rates = new RateLimiter(parts.limits ?? {}, parts.sharedLimits);
  const predictions = new Predictions({
    flow,
    pools,
    history,
    channel,
    objects,
    hardware,
    publicUrl,
    // What an api of the release before knows; once that is gone, it can be the key of its own.
    streamKey: signingKey,
    now,
    queuedPerPool,
    concurrency,
  });
  const { maxFileBytes } = parts;
  const files = new Files(table);
  const room = parts.uploadRoom && new UploadRoom(parts.uploadRoom);
  const uploads = new FileUploads({ files, objects, publicUrl, signingKey, maxFileBytes, room, now });
  const draining = new AbortController();
  const leaving = new AbortController();

  const app = new OpenAPIHono<ApiEnv>({ defaultHook: handleInvalid });
  let routes: RouteTable | undefined;
  const routesOnce = () => {
    routes ??= new RouteTable(app);
    return routes;
  };
  if (parts.traces) {
    app.use('/v1/*', traceRequests(parts.traces, routesOnce));
    recordJobSpans(flow, parts.traces);
  }
  if (parts.logger.isLevelEnabled('info')) app.use(logRequests(parts.logger));
  app.onError(handleErrors(parts.logger));
  app.notFound(handleNotFound((path) => methodsOf(app, path)));
  app.route('/', fleetRoutes({ dispatch, tokens: fleetTokens, clusterTokens, draining: draining.signal }));
  healthRoutes(app, async () => !draining.signal.aborted && (await answers(table)));
  const streamKeys = [streamKeyOf(signingKey), signingKey];
  streamRoutes(app, { jobs: flow.jobs, channel, objects, streamKeys, now, leaving: leaving.signal });
  const callerOf = authenticator(accounts, now);
  const metrics = new Metrics();
  flow.onEnd((job) => metrics.countEnd(job));
  const authenticate = parts.openMetrics ? undefined : callerOf;
  metricsRoute(app, { metrics, flow, pools, now, authenticate });
  if (parts.corsOrigins?.length) app.use('/v1/*', allowOrigins(parts.corsOrigins));
  if (parts.servedObjects) objectRoutes(app, parts.servedObjects, now);
  fileDownloadRoutes(app, uploads, { redirects: parts.servedObjects === undefined });
  // What is registered above needs no token; what follows does.
  app.use('/v1/*', admit(callerOf));
  if (rates.isOn) app.use('/v1/*', limitRate(rates));
  const { webhookTargets = { allowHttp: false, allowPrivate: false } } = parts;
  predictionRoutes(app, { predictions, catalogue, publicUrl, webhookTargets, leaving: leaving.signal });
  const deliveries = new Deliveries(table);
  webhookRoutes(app, { deliveries, secrets: new WebhookSecrets(table), channel, publicUrl, now });
  const body = modelBodies({ models, examples, predictions, publicUrl });
  modelRoutes(app, { models, scaling, catalogue, hardware, publicUrl, now, body });
  modelSettingsRoutes(app, { models, examples, scaling, catalogue, hardware, flow, channel, body, now });
  modelWarmthRoutes(app, { catalogue, scaling, pools, history, hardware, channel, now });
  exampleRoutes(app, { examples, catalogue, predictions, flow, publicUrl, now });
  const { builder, maxSourceBytes } = parts;
  const accepts = parts.registry ? 'image' : 'source';
  const { logger } = parts;
  versionPushRoutes(app, { builder, accepts, maxSourceBytes, models, catalogue, hardware, now, logger });
  registryRoutes(app, { table, registry: parts.registry, publicUrl, now });
  runnerRoutes(app, { catalogue, tokens: fleetTokens, now });
  fileRoutes(app, uploads, publicUrl);
  accountRoutes(app, { accounts, hardware });
  tokenRoutes(app, { accounts, now });
  instanceRoutes(app, { records, publicUrl });
  poolRoutes(app, { pools, jobs: flow.jobs, publicUrl, now });
  document(app);
  const drain = () => draining.abort();
  const leave = () => leaving.abort();
  const fetch = async (request: Request) => {
    const response = await app.fetch(request);
    metrics.countRequest(request.method, request.url, response.status, routesOnce());
    return response;
  };
  return { app, fetch, dispatch, fleetTokens, predictions, drain, leave };
}

function document(app: OpenAPIHono<ApiEnv>): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' });
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: { title: 'Mimeo', version: '1.0.0', description: "Replicate's HTTP API, on your own machines." },
    security: [{ bearer: [] }],
  });
}

/** One line a request: what was asked, how it ended and how long that took; never a body, a query or a token. */
function logRequests(logger: Logger): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const startedAt = performance.now();
    await next();
    const { method, path } = context.req;
    const { account } = context.get('caller') ?? {};
    const milliseconds = Math.round(performance.now() - startedAt);
    const { status } = context.res;
    const traceparent = context.get('traceparent') ?? context.req.header('traceparent');
    const line = { method, path, status, milliseconds, account, ...traceOfLog(traceparent) };
    logger.info(line, 'request');
  };
}

/** Lets pages of these origins call. The token comes in a header, so cookies are never needed. */
function allowOrigins(origins: readonly string[]): MiddlewareHandler<ApiEnv> {
  return cors({
    origin: origins.includes('*') ? '*' : [...origins],
    allowMethods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'QUERY'],
    allowHeaders: [
      'authorization',
      'content-type',
      'prefer',
      'cancel-after',
      'idempotency-key',
      'traceparent',
    ],
    exposeHeaders: ['retry-after', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'],
    maxAge: 86_400,
  });
}

/** Costs nothing where no rate is limited: it is not there then. */
function limitRate(rates: RateLimiter): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const isPrediction = context.req.method === 'POST' && context.req.path.endsWith('/predictions');
    const headers = await rates.admit(context.get('caller').token, isPrediction);
    for (const name in headers) context.header(name, headers[name]);
    await next();
  };
}

const archivePath = /^\/v1\/models\/[^/]+\/[^/]+\/versions$/;
const jsonType = /^application\/(?:[\w.-]+\+)?json\b/i;

/** Lets in who is known and what is JSON of a bearable length. One step, as each one costs every request as much. */
function admit(callerOf: (request: HonoRequest) => Promise<Caller>): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const { req } = context;
    context.set('caller', await callerOf(req));
    // What is read as a stream, by routes that bound it themselves.
    const isStreamed = archivePath.test(req.path) || req.path === filesPath;
    if (!isStreamed) requireJson(req);
    return isStreamed || saysItFits(req) ? await next() : await limitJson(context, next);
  };
}

function requireJson(request: HonoRequest): void {
  const type = request.header('content-type');
  const hasBody = type !== undefined || Number(request.header('content-length') ?? 0) > 0;
  if (request.method === 'GET' || !hasBody || jsonType.test(type ?? '')) return;
  throw new ProblemError(
    'unsupported_media_type',
    `Send JSON with content-type: application/json, not ${type ?? 'none'}.`,
  );
}

const limitJson = bodyLimit({
  maxSize: maxBodyBytes,
  onError: () => {
    const detail = `A JSON body may have ${maxBodyBytes / 1024 / 1024} MiB; pass larger inputs as URLs.`;
    throw new ProblemError('payload_too_large', detail);
  },
});

/** Node holds a body to the length that it was announced with. Looking at the body itself makes every request slower. */
function saysItFits(request: HonoRequest): boolean {
  const length = request.header('content-length');
  if (length === undefined || request.header('transfer-encoding') !== undefined) return false;
  return Number(length) <= maxBodyBytes;
}

/** The methods that a path takes, for the answer to one that it does not. */
function methodsOf(app: OpenAPIHono<ApiEnv>, path: string): readonly string[] {
  const routes = app.routes.filter((route) => route.method !== 'ALL' && patternOf(route.path).test(path));
  return [...new Set(routes.map((route) => route.method))];
}

function patternOf(route: string): RegExp {
  return new RegExp(`^${route.replace(/:[^/]+/g, '[^/]+')}$`);
}

async function answers(table: Table): Promise<boolean> {
  return await table.get({ pk: 'READY', sk: 'READY' }).then(
    () => true,
    () => false,
  );
}
