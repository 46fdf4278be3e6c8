import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import type { Examples } from '../../data/examples.ts';
import type { JobFlow } from '../../data/job-flow.ts';
import type { JobRecord } from '../../data/jobs.ts';
import type { ApiEnv } from '../auth.ts';
import type { Catalogue } from '../catalogue.ts';
import { jsonBody, jsonResponse, problems } from '../openapi.ts';
import { nextUrl } from '../paging.ts';
import type { Predictions } from '../predictions.ts';
import { exampleRequestSchema, pageOf, predictionSchema } from '../schemas.ts';

/** Examples on a page. */
const pageSize = 25;

const modelParams = z.object({ owner: z.string(), name: z.string() });

interface Parts {
  readonly examples: Examples;
  readonly catalogue: Catalogue;
  readonly predictions: Predictions;
  readonly flow: JobFlow;
  readonly publicUrl: () => string;
  readonly now: () => number;
}

/** The predictions that show what a model does: read by whoever may see the model, chosen by its owner. */
export function exampleRoutes(app: OpenAPIHono<ApiEnv>, parts: Parts): void {
  const { examples, catalogue, predictions, publicUrl } = parts;
  const path = '/v1/models/{owner}/{name}/examples';

  app.openapi(
    createRoute({
      method: 'get',
      path,
      operationId: 'models.examples.list',
      request: { params: modelParams, query: z.object({ cursor: z.string().optional() }) },
      responses: {
        200: jsonResponse(pageOf(predictionSchema), 'A page; the first example first'),
        ...problems(400, 401, 404),
      },
    }),
    async (context) => {
      const { owner, name } = context.req.valid('param');
      await catalogue.model(`${owner}/${name}`, context.get('caller').account);
      const { cursor } = context.req.valid('query');
      const page = await examples.list(`${owner}/${name}`, { limit: pageSize, cursor });
      const results = await Promise.all(page.items.map(async (record) => predictions.show(record)));
      const next = nextUrl(`${publicUrl()}/v1/models/${owner}/${name}/examples`, page.next);
      return context.json({ next, previous: null, results }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path,
      operationId: 'models.examples.create',
      request: { params: modelParams, body: jsonBody(exampleRequestSchema) },
      responses: {
        201: jsonResponse(predictionSchema, 'The example, whose data is kept from now on'),
        ...problems(400, 401, 403, 404, 409, 413, 415, 422),
      },
    }),
    async (context) => {
      const { owner, name } = context.req.valid('param');
      const { account } = context.get('caller');
      await catalogue.owned(`${owner}/${name}`, account);
      const { prediction: id } = context.req.valid('json');
      const record = await parts.flow.jobs.record(id);
      if (record?.job.account !== account)
        throw new ProblemError('not_found', `There is no prediction ${id}.`);
      requireSuitable(record, `${owner}/${name}`);
      if (!(await examples.add(record, parts.now())))
        throw new ProblemError('conflict', `The data of ${id} has just been removed; run it again.`);
      return context.json(await predictions.show(record), 201);
    },
  );

  app.openapi(
    createRoute({
      method: 'delete',
      path: `${path}/{id}`,
      operationId: 'models.examples.delete',
      request: { params: modelParams.extend({ id: z.string() }) },
      responses: { 204: { description: 'It is no example any more' }, ...problems(401, 403, 404, 415) },
    }),
    async (context) => {
      const { owner, name, id } = context.req.valid('param');
      await catalogue.owned(`${owner}/${name}`, context.get('caller').account);
      if (!(await examples.remove(`${owner}/${name}`, id)))
        throw new ProblemError('not_found', `${owner}/${name} has no example ${id}.`);
      return context.body(null, 204);
    },
  );
}

function requireSuitable({ job }: JobRecord, model: string): void {
  if (job.model !== model)
    throw new ProblemError('conflict', `Prediction ${job.id} is of ${job.model}, not of ${model}.`);
  if (job.status !== 'succeeded') {
    const detail = `Prediction ${job.id} is ${job.status}; only one that succeeded can be an example.`;
    throw new ProblemError('conflict', detail);
  }
  if (job.dataRemoved) {
    const detail = `The data of prediction ${job.id} has been removed; run it again and take that.`;
    throw new ProblemError('conflict', detail);
  }
}
