import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { ProblemError } from '../../core/errors.ts';
import { type Job, jobStatuses } from '../../core/job.ts';
import { newJobTrace } from '../../core/trace.ts';
import { type TargetPolicy, type Webhook, webhookEvents, webhookUrlProblem } from '../../core/webhook.ts';
import { itemsPerPage } from '../../data/filtered-page.ts';
import { ConflictError, type Value } from '../../ports/table/port.ts';
import type { ApiEnv } from '../auth.ts';
import type { Catalogue, Runnable } from '../catalogue.ts';
import { idempotencyOf } from '../idempotency.ts';
import { jsonBody, jsonResponse, problems, readBody } from '../openapi.ts';
import { nextUrl } from '../paging.ts';
import type { CreateHeaders, Predictions } from '../predictions.ts';
import {
  pageOf,
  predictionRequestSchema,
  predictionSchema,
  versionPredictionRequestSchema,
} from '../schemas.ts';

/** A trace context of version 00 has 55 characters. */
const longestTraceparent = 200;

/** Documented here and read one by one: to validate them would be to make an object of every header, each time. */
const parameters = [
  headerParameter('Prefer', '`wait` or `wait=n`: answer when it has ended, at most n seconds later'),
  headerParameter('Cancel-After', 'Cancel it when it has not ended after this long: 30, 90s, 5m'),
  headerParameter(
    'Idempotency-Key',
    'The same key and body give the same prediction, however often they are sent; for as long as its record is kept',
  ),
  headerParameter('traceparent', 'W3C trace context, passed on to the model'),
];
const id = z.object({ id: z.string() });
const created = { 201: jsonResponse(predictionSchema, 'The prediction, created') };
const found = { 200: jsonResponse(predictionSchema, 'The prediction') };

/** Create, read, list and cancel predictions. */
export function predictionRoutes(
  app: OpenAPIHono<ApiEnv>,
  parts: {
    readonly predictions: Predictions;
    readonly catalogue: Catalogue;
    readonly publicUrl: () => string;
    /** What webhooks may call. */
    readonly webhookTargets: TargetPolicy;
    /** Ends waits before their time: clients go on by polling. */
    readonly leaving: AbortSignal;
  },
): void {
  const { predictions, catalogue, publicUrl, webhookTargets, leaving } = parts;
  const create = async (context: Context<ApiEnv>, find: () => Promise<Runnable>, body: PredictionRequest) => {
    const caller = context.get('caller');
    const input = body.input as { [name: string]: Value };
    const headers = createHeaders(context);
    const webhook = requireWebhook(body, webhookTargets);
    const left = hasLeft(context, leaving);
    const key = context.req.header('idempotency-key');
    if (key === undefined)
      return await predictions.create(await find(), input, caller, headers, left, webhook);
    const idempotency = idempotencyOf(caller.account, key, context.req.path, body);
    const replay = async () => predictions.replay(idempotency, headers, left);
    const known = await replay();
    if (known) return known;
    const withKey = { ...headers, idempotency };
    try {
      return await predictions.create(await find(), input, caller, withKey, left, webhook);
    } catch (error) {
      // The same request, sent twice at once: one of the two has made it.
      const made = error instanceof ConflictError ? await replay() : undefined;
      if (made) return made;
      throw error;
    }
  };

  app.openAPIRegistry.registerPath(
    createRoute({
      method: 'post',
      path: '/v1/predictions',
      operationId: 'predictions.create',
      parameters,
      request: { body: jsonBody(versionPredictionRequestSchema) },
      responses: { ...created, ...problems(400, 401, 404, 413, 415, 422) },
    }),
  );
  // The busiest routes read their own bodies: the steps that check them for a handler cost a prediction 0.1 ms.
  app.post('/v1/predictions', async (context) => {
    const body = await readBody(context, versionPredictionRequestSchema);
    const find = async () => catalogue.resolve(body.version, context.get('caller').account);
    return context.json(await create(context, find, body), 201);
  });

  app.openAPIRegistry.registerPath(
    createRoute({
      method: 'post',
      path: '/v1/models/{owner}/{name}/predictions',
      operationId: 'models.predictions.create',
      parameters,
      request: {
        params: z.object({ owner: z.string(), name: z.string() }),
        body: jsonBody(predictionRequestSchema),
      },
      responses: { ...created, ...problems(400, 401, 404, 413, 415, 422) },
    }),
  );
  app.post('/v1/models/:owner/:name/predictions', async (context) => {
    const body = await readBody(context, predictionRequestSchema);
    const { owner, name } = context.req.param();
    const find = async () => catalogue.latest(`${owner}/${name}`, context.get('caller').account);
    return context.json(await create(context, find, body), 201);
  });

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/predictions',
      operationId: 'predictions.list',
      request: {
        query: z.object({
          cursor: z.string().optional(),
          created_after: z.string().optional(),
          created_before: z.string().optional(),
          source: z.enum(['web', 'api']).optional(),
          status: z.enum(jobStatuses).optional(),
          model: z.string().optional().openapi({ description: '`owner/name`' }),
        }),
      },
      responses: {
        200: jsonResponse(
          pageOf(predictionSchema),
          'A page of up to 100, newest first. With a filter a page looks through at most ' +
            `${itemsPerPage} predictions: where fewer than 100 of them fit it is short, or empty, and has a next one`,
        ),
        ...problems(400, 401),
      },
    }),
    async (context) => {
      const { cursor, created_after, created_before, source, status, model } = context.req.valid('query');
      const after = optionalTime('created_after', created_after);
      const before = optionalTime('created_before', created_before);
      const { account } = context.get('caller');
      const matches =
        (source ?? status ?? model) === undefined
          ? undefined
          : (job: Job) =>
              (source ?? job.source) === job.source &&
              (status ?? job.status) === job.status &&
              (model ?? job.model) === job.model;
      if (model !== undefined) requireModelName(model);
      const { results, next } = await predictions.list(account, { cursor, after, before, matches });
      const rest = { created_after, created_before, source, status, model };
      return context.json(
        { next: nextUrl(`${publicUrl()}/v1/predictions`, next, rest), previous: null, results: [...results] },
        200,
      );
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/predictions/{id}',
      operationId: 'predictions.get',
      request: { params: id },
      responses: { ...found, ...problems(401, 404) },
    }),
    async (context) =>
      context.json(await predictions.get(context.req.valid('param').id, context.get('caller').account), 200),
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/predictions/{id}/cancel',
      operationId: 'predictions.cancel',
      request: { params: id },
      responses: { ...found, ...problems(401, 404) },
    }),
    async (context) =>
      context.json(
        await predictions.cancel(context.req.valid('param').id, context.get('caller').account),
        200,
      ),
  );
}

type PredictionRequest = z.infer<typeof predictionRequestSchema>;

/** @throws ProblemError `invalid_body` where its URL may not be called */
function requireWebhook(body: PredictionRequest, policy: TargetPolicy): Webhook | undefined {
  const { webhook: url, webhook_events_filter: filter } = body;
  if (url === undefined || url === null) return undefined;
  const problem = webhookUrlProblem(url, policy);
  if (problem) throw new ProblemError('invalid_body', `- webhook: ${problem}`);
  return { url, events: webhookEvents.filter((event) => !filter || filter.includes(event)) };
}

/** Only asked for where a wait takes long: to follow a request's signal costs as much as to read its body. */
function hasLeft({ req }: Context, leaving: AbortSignal): () => boolean {
  return () => leaving.aborted || req.raw.signal.aborted;
}

function headerParameter(name: string, description: string) {
  return { in: 'header' as const, name, description, schema: { type: 'string' as const } };
}

function createHeaders(context: Context<ApiEnv>): CreateHeaders {
  const { req: request } = context;
  const traceparent = context.get('traceparent');
  return {
    prefer: request.header('prefer'),
    cancelAfter: request.header('cancel-after'),
    traceparent: traceparent ?? request.header('traceparent')?.slice(0, longestTraceparent),
    trace: traceparent === undefined ? undefined : newJobTrace(traceparent),
  };
}

function requireModelName(text: string): void {
  if (/^[^/:\s]+\/[^/:\s]+$/.test(text)) return;
  throw new ProblemError('invalid_request', `model takes owner/name, not ${JSON.stringify(text)}.`);
}

function optionalTime(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw new ProblemError('invalid_request', `${name} takes an ISO 8601 time, not ${JSON.stringify(text)}.`);
  return time;
}
