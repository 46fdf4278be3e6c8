import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import type { Value } from '../../ports/table/port.ts';
import type { ApiEnv } from '../auth.ts';
import type { Catalogue } from '../catalogue.ts';
import { jsonBody, jsonResponse, problems } from '../openapi.ts';
import type { CreateHeaders, Predictions } from '../predictions.ts';
import {
  pageOf,
  predictionRequestSchema,
  predictionSchema,
  versionPredictionRequestSchema,
} from '../schemas.ts';

const headers = z.object({
  prefer: z
    .string()
    .optional()
    .openapi({ description: '`wait` or `wait=n`: answer when it has ended, at most n seconds later' }),
  'cancel-after': z
    .string()
    .optional()
    .openapi({ description: 'Cancel it when it has not ended after this long: 30, 90s, 5m' }),
  traceparent: z.string().max(200).optional(),
});
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
  },
): void {
  const { predictions, catalogue, publicUrl } = parts;

  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/predictions',
      operationId: 'predictions.create',
      request: { headers, body: jsonBody(versionPredictionRequestSchema) },
      responses: { ...created, ...problems(400, 401, 404, 413, 415, 422) },
    }),
    async (context) => {
      const body = context.req.valid('json');
      const caller = context.get('caller');
      const runnable = await catalogue.resolve(body.version, caller.account);
      const shaping = createHeaders(context.req.valid('header'));
      const input = body.input as { [name: string]: Value };
      return context.json(
        await predictions.create(runnable, input, caller, shaping, context.req.raw.signal),
        201,
      );
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/models/{owner}/{name}/predictions',
      operationId: 'models.predictions.create',
      request: {
        params: z.object({ owner: z.string(), name: z.string() }),
        headers,
        body: jsonBody(predictionRequestSchema),
      },
      responses: { ...created, ...problems(400, 401, 404, 413, 415, 422) },
    }),
    async (context) => {
      const { owner, name } = context.req.valid('param');
      const caller = context.get('caller');
      const runnable = await catalogue.latest(`${owner}/${name}`, caller.account);
      const shaping = createHeaders(context.req.valid('header'));
      const input = context.req.valid('json').input as { [name: string]: Value };
      return context.json(
        await predictions.create(runnable, input, caller, shaping, context.req.raw.signal),
        201,
      );
    },
  );

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
        }),
      },
      responses: {
        200: jsonResponse(pageOf(predictionSchema), 'A page, newest first'),
        ...problems(400, 401),
      },
    }),
    async (context) => {
      const { cursor, created_after, created_before } = context.req.valid('query');
      const after = optionalTime('created_after', created_after);
      const before = optionalTime('created_before', created_before);
      const { account } = context.get('caller');
      const { results, next } = await predictions.list(account, { cursor, after, before });
      const rest = { created_after, created_before };
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

/** The URL of the page after this one, or null. */
export function nextUrl(
  url: string,
  cursor: string | undefined,
  query: Readonly<Record<string, string | undefined>> = {},
): string | null {
  if (cursor === undefined) return null;
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return `${url}?${new URLSearchParams([...given, ['cursor', cursor]])}`;
}

function createHeaders(given: z.infer<typeof headers>): CreateHeaders {
  return { prefer: given.prefer, cancelAfter: given['cancel-after'], traceparent: given.traceparent };
}

function optionalTime(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw new ProblemError('invalid_request', `${name} takes an ISO 8601 time, not ${JSON.stringify(text)}.`);
  return time;
}
