import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import type { HardwareCatalogue } from '../../core/hardware.ts';
import { sharedPool } from '../../core/pool.ts';
import { costMicroUsd } from '../../core/pricing.ts';
import { mostInstances } from '../../core/scheduled-minimum.ts';
import { secondsToReady } from '../../core/waiting.ts';
import type { ModelScaling } from '../../data/model-scaling.ts';
import type { Pools } from '../../data/pools.ts';
import { scalingTopic } from '../../data/progress.ts';
import type { Channel } from '../../ports/channel/port.ts';
import type { ApiEnv } from '../auth.ts';
import type { BootHistory } from '../boot-history.ts';
import type { Catalogue } from '../catalogue.ts';
import { jsonBody, jsonResponse, problems, readBody } from '../openapi.ts';
import { isoTime } from '../views.ts';

const defaultSeconds = 300;
const leastSeconds = 60;
const mostSeconds = 3600;

const warmRequestSchema = z.strictObject({
  instances: z.int().min(1).max(mostInstances).default(1),
  seconds: z.int().min(leastSeconds).max(mostSeconds).default(defaultSeconds),
});

const warmBodySchema = z
  .object({
    model: z.string(),
    version: z.string(),
    instances: z.int(),
    seconds: z.int(),
    until: z.string().openapi({ description: 'When the instances are let go, unless somebody uses them' }),
    eta_seconds: z.object({ p50: z.number(), p90: z.number() }).nullable().openapi({
      description: 'Until so many are ready, by what starts took before; null: nothing is known',
    }),
    cost: z.object({
      sku: z.string(),
      micro_usd_per_second: z.int(),
      max_micro_usd: z.int().openapi({
        description: "What so many instances take from the platform in that time at most, at the SKU's price",
      }),
      billed: z.boolean().openapi({
        description: 'Whether the account is billed for it: no, as shared models are billed by the run',
      }),
    }),
  })
  .openapi('Warmth');

interface Parts {
  readonly catalogue: Catalogue;
  readonly scaling: ModelScaling;
  readonly pools: Pools;
  readonly history: BootHistory;
  readonly hardware: HardwareCatalogue;
  readonly channel: Channel;
  readonly now: () => number;
}

/** Instances of a model that are made ready before anybody needs them, and kept for a while. */
export function modelWarmthRoutes(app: OpenAPIHono<ApiEnv>, parts: Parts): void {
  app.openAPIRegistry.registerPath(
    createRoute({
      method: 'post',
      path: '/v1/models/{owner}/{name}/warm',
      operationId: 'models.warm',
      description:
        'Has instances of the latest version started now and kept for a time. Asking again keeps them longer; it ' +
        "never adds up. The model's `scaling.max` and the platform's own limit hold.",
      request: {
        params: z.object({ owner: z.string(), name: z.string() }),
        body: jsonBody(warmRequestSchema),
      },
      responses: {
        202: jsonResponse(warmBodySchema, 'They are being started; what that costs, and when they are ready'),
        ...problems(400, 401, 403, 404, 413, 415, 422),
      },
    }),
  );
  app.post('/v1/models/:owner/:name/warm', async (context) => {
    const { owner, name: shortName } = context.req.param();
    const name = `${owner}/${shortName}`;
    const { account } = context.get('caller');
    await parts.catalogue.owned(name, account);
    const { instances, seconds } = await readBody(context, warmRequestSchema);
    const { model, version } = await parts.catalogue.latest(name, account);
    const max = (await parts.scaling.settings(name))?.max;
    if (max !== undefined && instances > max) {
      const detail = `- instances: ${name} has at most ${max}; see scaling.max of PATCH /v1/models/${name}`;
      throw new ProblemError('invalid_body', detail);
    }
    const { microUsdPerSecond } = parts.hardware.require(model.hardware);
    const now = parts.now();
    const until = now + seconds * 1000;
    await parts.scaling.hold(name, { instances, until }, now);
    await parts.channel.ring(scalingTopic);
    const pool = sharedPool(model, version);
    const state = await parts.pools.state(pool.id);
    const priorSetupSeconds = await parts.history.before(state, pool);
    const body = {
      model: name,
      version: version.id,
      instances,
      seconds,
      until: isoTime(until),
      eta_seconds: secondsToReady({ state, priorSetupSeconds, now }, instances),
      cost: {
        sku: model.hardware,
        micro_usd_per_second: microUsdPerSecond,
        max_micro_usd: costMicroUsd(instances * seconds * 1000, microUsdPerSecond),
        billed: false,
      },
    };
    return context.json(body, 202);
  });

  app.openapi(
    createRoute({
      method: 'delete',
      path: '/v1/models/{owner}/{name}/warm',
      operationId: 'models.cool',
      request: { params: z.object({ owner: z.string(), name: z.string() }) },
      responses: {
        204: { description: 'Nothing is kept any more by calls before this one; what works goes on' },
        ...problems(401, 403, 404, 415),
      },
    }),
    async (context) => {
      const { owner, name } = context.req.valid('param');
      await parts.catalogue.owned(`${owner}/${name}`, context.get('caller').account);
      await parts.scaling.release(`${owner}/${name}`);
      await parts.channel.ring(scalingTopic);
      return context.body(null, 204);
    },
  );
}
