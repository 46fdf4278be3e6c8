import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import type { HardwareCatalogue } from '../../core/hardware.ts';
import type { Model } from '../../core/model.ts';
import { sharedPoolId } from '../../core/pool.ts';
import type { Examples } from '../../data/examples.ts';
import type { JobFlow } from '../../data/job-flow.ts';
import type { ModelScaling } from '../../data/model-scaling.ts';
import type { ModelChanges, Models } from '../../data/models.ts';
import { scalingTopic } from '../../data/progress.ts';
import type { Channel } from '../../ports/channel/port.ts';
import type { ApiEnv } from '../auth.ts';
import type { Catalogue } from '../catalogue.ts';
import { jsonBody, jsonResponse, problems, readBody } from '../openapi.ts';
import { type ModelBody, modelBodySchema, modelUpdateSchema } from '../schemas.ts';

/** Waiting predictions of a deleted version that are ended at a time. */
const batch = 100;

const modelParams = z.object({ owner: z.string(), name: z.string() });

interface Parts {
  readonly models: Models;
  readonly examples: Examples;
  readonly scaling: ModelScaling;
  readonly catalogue: Catalogue;
  readonly hardware: HardwareCatalogue;
  readonly flow: JobFlow;
  readonly channel: Channel;
  readonly body: (model: Model) => Promise<ModelBody>;
  readonly now: () => number;
}

/** What the owner of a model may change about it, and its readme. */
export function modelSettingsRoutes(app: OpenAPIHono<ApiEnv>, parts: Parts): void {
  const { models, examples, scaling, catalogue, channel, body } = parts;

  app.openAPIRegistry.registerPath(
    createRoute({
      method: 'patch',
      path: '/v1/models/{owner}/{name}',
      operationId: 'models.update',
      request: { params: modelParams, body: jsonBody(modelUpdateSchema) },
      responses: {
        200: jsonResponse(modelBodySchema, 'The model as it is now'),
        ...problems(400, 401, 403, 404, 413, 415, 422),
      },
    }),
  );
  // A body that is missing would be let through to a checked handler as an empty one.
  app.patch('/v1/models/:owner/:name', async (context) => {
    const name = fullName(context.req.param());
    const model = await catalogue.owned(name, context.get('caller').account);
    const update = await readBody(context, modelUpdateSchema);
    if (update.hardware !== undefined) await requireFit(parts, model, update.hardware);
    const changed = await models.update(name, changesOf(update));
    catalogue.forgetModel(name);
    if (!changed) throw new ProblemError('not_found', `There is no model ${name}.`);
    if (update.readme !== undefined) await models.setReadme(name, update.readme);
    if (update.scaling !== undefined) await scaling.set(name, update.scaling);
    if (update.scaling !== undefined || update.hardware !== undefined) await channel.ring(scalingTopic);
    const settings = (await scaling.settings(name)) ?? null;
    return context.json({ ...(await body(changed)), scaling: settings }, 200);
  });

  app.openapi(
    createRoute({
      method: 'delete',
      path: '/v1/models/{owner}/{name}',
      operationId: 'models.delete',
      request: { params: modelParams },
      responses: { 204: { description: 'It is gone' }, ...problems(401, 403, 404, 409, 415) },
    }),
    async (context) => {
      const name = fullName(context.req.valid('param'));
      const model = await catalogue.owned(name, context.get('caller').account);
      requirePrivate(model, 'model');
      if (model.latestVersion === null) await removeExamples(examples, name);
      if (!(await models.remove(name))) {
        throw new ProblemError(
          'conflict',
          `${name} has versions. Delete each first: DELETE /v1/models/${name}/versions/ID`,
        );
      }
      return context.body(null, 204);
    },
  );

  app.openapi(
    createRoute({
      method: 'delete',
      path: '/v1/models/{owner}/{name}/versions/{id}',
      operationId: 'models.versions.delete',
      request: { params: modelParams.extend({ id: z.string() }) },
      responses: {
        202: { description: 'It takes no more predictions; those that waited for it are ended' },
        ...problems(401, 403, 404, 415),
      },
    }),
    async (context) => {
      const { id, ...of } = context.req.valid('param');
      const name = fullName(of);
      const model = await catalogue.owned(name, context.get('caller').account);
      requirePrivate(model, 'version');
      if (!(await models.removeVersion(name, id)))
        throw new ProblemError('not_found', `The model ${name} has no version ${id}.`);
      catalogue.forget(name, id);
      await endWaiting(parts, model, id);
      return context.body(null, 202);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/models/{owner}/{name}/readme',
      operationId: 'models.readme.get',
      request: { params: modelParams },
      responses: {
        200: { content: { 'text/markdown': { schema: z.string() } }, description: 'The readme' },
        ...problems(401, 404),
      },
    }),
    async (context) => {
      const name = fullName(context.req.valid('param'));
      await catalogue.model(name, context.get('caller').account);
      const readme = await models.readme(name);
      if (readme === undefined) {
        const detail = `${name} has no readme. Its owner sets one by PATCH /v1/models/${name}.`;
        throw new ProblemError('not_found', detail);
      }
      return context.body(readme, 200, { 'content-type': 'text/markdown; charset=utf-8' });
    },
  );
}

function fullName({ owner, name }: { readonly owner: string; readonly name: string }): string {
  return `${owner}/${name}`;
}

/** Only what was given: what was left out stays. */
function changesOf(update: z.infer<typeof modelUpdateSchema>): ModelChanges {
  const { description, github_url, paper_url, license_url, weights_url, hardware } = update;
  return {
    ...(description === undefined ? {} : { description }),
    ...(github_url === undefined ? {} : { githubUrl: github_url }),
    ...(paper_url === undefined ? {} : { paperUrl: paper_url }),
    ...(license_url === undefined ? {} : { licenseUrl: license_url }),
    ...(weights_url === undefined ? {} : { weightsUrl: weights_url }),
    ...(hardware === undefined ? {} : { hardware }),
  };
}

/** @throws ProblemError `invalid_body` where the hardware is not offered, or cannot hold the latest version */
async function requireFit({ models, hardware }: Parts, model: Model, sku: string): Promise<void> {
  hardware.require(sku);
  const name = `${model.owner}/${model.name}`;
  const latest =
    model.latestVersion === null ? undefined : await models.getVersion(name, model.latestVersion);
  const tooSmall = hardware.whyTooSmall(sku, latest?.gpuMemoryGb);
  if (tooSmall === undefined) return;
  const detail = `${sku} cannot hold version ${latest?.id} of ${name}. ${tooSmall}`;
  throw new ProblemError('invalid_body', `- hardware: ${detail}`);
}

/** Others may build on what is public. */
function requirePrivate(model: Model, what: 'model' | 'version'): void {
  if (model.visibility === 'private') return;
  const subject = what === 'model' ? 'it' : 'its versions';
  throw new ProblemError(
    'forbidden',
    `${model.owner}/${model.name} is public, so ${subject} cannot be deleted; only private models can.`,
  );
}

async function removeExamples(examples: Examples, model: string): Promise<void> {
  let cursor: string | undefined;
  do {
    const { items, next } = await examples.list(model, { limit: batch, cursor });
    for (const { job } of items) await examples.remove(model, job.id);
    cursor = next;
  } while (cursor !== undefined);
}

/** What already runs goes on to its end. */
async function endWaiting(parts: Parts, model: Model, version: string): Promise<void> {
  const name = `${model.owner}/${model.name}`;
  // The model may have run on other hardware when they were created.
  const skus = new Set([model.hardware, ...parts.hardware.all.map(({ sku }) => sku)]);
  const pools = [...skus].map((hardware) => sharedPoolId({ model: name, version, hardware }));
  await Promise.all(pools.map(async (pool) => endWaitingOf(parts, pool, version)));
}

async function endWaitingOf({ flow, now }: Parts, pool: string, version: string): Promise<void> {
  const message = `Version ${version} was deleted before the prediction began.`;
  for await (const waiting of flow.jobs.unfinishedPages(pool, 'queued', batch)) {
    for (const { id } of waiting) {
      const failure = { code: 'version_deleted', message } as const;
      await flow.apply(id, { type: 'unservable', at: now(), failure });
    }
  }
}
