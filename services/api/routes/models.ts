import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import type { HardwareCatalogue } from '../../core/hardware.ts';
import type { Model } from '../../core/model.ts';
import type { ModelScaling } from '../../data/model-scaling.ts';
import type { Models } from '../../data/models.ts';
import { ConflictError } from '../../ports/table/port.ts';
import type { ApiEnv } from '../auth.ts';
import type { Catalogue } from '../catalogue.ts';
import { jsonBody, jsonResponse, problems } from '../openapi.ts';
import { nextUrl } from '../paging.ts';
import {
  type ModelBody,
  modelBodySchema,
  modelRequestSchema,
  pageOf,
  versionBodySchema,
} from '../schemas.ts';
import { versionBody } from '../views.ts';

/** Models or versions on a page. */
const pageSize = 25;

const modelParams = z.object({ owner: z.string(), name: z.string() });

interface Parts {
  readonly models: Models;
  readonly scaling: ModelScaling;
  readonly catalogue: Catalogue;
  readonly body: (model: Model) => Promise<ModelBody>;
  readonly hardware: HardwareCatalogue;
  readonly publicUrl: () => string;
  readonly now: () => number;
}

/** Create, read and list models, and read their versions. */
export function modelRoutes(app: OpenAPIHono<ApiEnv>, parts: Parts): void {
  const { models, scaling, catalogue, publicUrl, body } = parts;

  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/models',
      operationId: 'models.create',
      request: { body: jsonBody(modelRequestSchema) },
      responses: {
        201: jsonResponse(modelBodySchema, 'The model, created'),
        ...problems(400, 401, 403, 409, 413, 415, 422),
      },
    }),
    async (context) => {
      const model = newModel(context.req.valid('json'), context.get('caller').account, parts);
      await create(models, model);
      return context.json({ ...(await body(model)), scaling: null }, 201);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/models',
      operationId: 'models.list',
      request: {
        query: z.object({
          cursor: z.string().optional(),
          sort_by: z.enum(['model_created_at', 'latest_version_created_at']).optional(),
          sort_direction: z.enum(['asc', 'desc']).optional(),
          visibility: z.enum(['public', 'private']).optional().openapi({
            description: "`private` lists the caller's own private models, by the time of their creation",
          }),
        }),
      },
      responses: {
        200: jsonResponse(pageOf(modelBodySchema), 'A page of public models, or of private ones'),
        ...problems(400, 401),
      },
    }),
    async (context) => {
      const { cursor, sort_by, sort_direction, visibility } = context.req.valid('query');
      const order = { limit: pageSize, cursor, ascending: sort_direction === 'asc' };
      const page =
        visibility === 'private'
          ? await models.listPrivate(context.get('caller').account, order)
          : await models.listPublic({ ...order, sortBy: sort_by ?? 'model_created_at' });
      const rest = { sort_by, sort_direction, visibility };
      const next = nextUrl(`${publicUrl()}/v1/models`, page.next, rest);
      return context.json({ next, previous: null, results: await Promise.all(page.items.map(body)) }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/models/{owner}/{name}',
      operationId: 'models.get',
      request: { params: modelParams },
      responses: { 200: jsonResponse(modelBodySchema, 'The model'), ...problems(401, 404) },
    }),
    async (context) => {
      const { owner, name } = context.req.valid('param');
      const { account } = context.get('caller');
      const model = await catalogue.model(`${owner}/${name}`, account);
      const shown = await body(model);
      if (model.account !== account) return context.json(shown, 200);
      const settings = (await scaling.settings(`${owner}/${name}`)) ?? null;
      return context.json({ ...shown, scaling: settings }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/models/{owner}/{name}/versions',
      operationId: 'models.versions.list',
      request: { params: modelParams, query: z.object({ cursor: z.string().optional() }) },
      responses: {
        200: jsonResponse(pageOf(versionBodySchema), 'A page, newest first'),
        ...problems(400, 401, 404),
      },
    }),
    async (context) => {
      const { owner, name } = context.req.valid('param');
      const full = `${owner}/${name}`;
      await catalogue.model(full, context.get('caller').account);
      const page = await models.listVersions(full, {
        limit: pageSize,
        cursor: context.req.valid('query').cursor,
      });
      const next = nextUrl(`${publicUrl()}/v1/models/${full}/versions`, page.next);
      return context.json({ next, previous: null, results: page.items.map(versionBody) }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/models/{owner}/{name}/versions/{id}',
      operationId: 'models.versions.get',
      request: { params: modelParams.extend({ id: z.string() }) },
      responses: { 200: jsonResponse(versionBodySchema, 'The version'), ...problems(401, 404) },
    }),
    async (context) => {
      const { owner, name, id } = context.req.valid('param');
      const { version } = await catalogue.version(`${owner}/${name}`, id, context.get('caller').account);
      return context.json(versionBody(version), 200);
    },
  );
}

function newModel(request: z.infer<typeof modelRequestSchema>, account: string, parts: Parts): Model {
  if (request.owner !== account) {
    throw new ProblemError(
      'forbidden',
      `Your account is ${account}; it cannot create models of ${request.owner}.`,
    );
  }
  parts.hardware.require(request.hardware);
  return {
    owner: request.owner,
    name: request.name,
    account,
    visibility: request.visibility,
    hardware: request.hardware,
    description: request.description ?? null,
    githubUrl: request.github_url ?? null,
    paperUrl: request.paper_url ?? null,
    licenseUrl: request.license_url ?? null,
    coverImageUrl: request.cover_image_url ?? null,
    createdAt: parts.now(),
    latestVersion: null,
  };
}

async function create(models: Models, model: Model): Promise<void> {
  try {
    await models.create(model);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    throw new ProblemError('conflict', `A model named ${model.owner}/${model.name} exists already.`);
  }
}
