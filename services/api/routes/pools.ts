import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import { type Instance, instancePhases, type Pool, type PoolState } from '../../core/pool.ts';
import type { Jobs } from '../../data/jobs.ts';
import type { Pools } from '../../data/pools.ts';
import type { ApiEnv } from '../auth.ts';
import { jsonResponse, problems } from '../openapi.ts';
import { nextUrl } from '../paging.ts';
import { pageOf } from '../schemas.ts';
import { isoTime } from '../views.ts';

/** Pools on a page. */
const pageSize = 100;
/** Jobs of a pool are counted up to this. */
const countLimit = 10_000;

const time = z.string();
const failureSchema = z.object({ code: z.string(), message: z.string() }).nullable();

const poolBodySchema = z
  .object({
    pool: z.string(),
    model: z.string(),
    version: z.string(),
    hardware: z.string(),
    queued: z.int().openapi({ description: `Predictions that wait, counted up to ${countLimit}` }),
    running: z.int().openapi({ description: `Predictions that run, counted up to ${countLimit}` }),
    desired: z.int().nullable().openapi({ description: 'Instances that the director wants' }),
    reason: z.string().nullable().openapi({ description: 'Why that many, in words' }),
    breaker: z
      .object({ until: time, message: z.string() })
      .nullable()
      .openapi({ description: 'Set while setups keep failing: no instance is started before `until`' }),
    instances: z.array(
      z.object({
        id: z.string(),
        phase: z.enum(instancePhases),
        since: time,
        running: z.int(),
        idle_since: time.nullable(),
        failure: failureSchema,
        detail: z
          .string()
          .optional()
          .openapi({ description: 'What it waits for while it starts, in a sentence' }),
      }),
    ),
    updated_at: time.nullable().openapi({ description: 'When the director last reported; null: never' }),
  })
  .openapi('Pool');

const setupLogSchema = z
  .object({
    pool: z.string(),
    version: z.string(),
    hardware: z.string(),
    instance: z.string().nullable().openapi({ description: 'Null: of the last setup that failed' }),
    phase: z.enum(instancePhases),
    since: time,
    failure: failureSchema,
    logs: z.string().openapi({ description: 'The end of what setup printed' }),
  })
  .openapi('SetupLog');

const query = z.object({ cursor: z.string().optional() });

interface Parts {
  readonly pools: Pools;
  readonly jobs: Jobs;
  readonly publicUrl: () => string;
  readonly now: () => number;
}

/** What the pools of an account's own models are like, and why. */
export function poolRoutes(app: OpenAPIHono<ApiEnv>, { pools, jobs, publicUrl, now }: Parts): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/pools',
      operationId: 'pools.list',
      request: { query },
      responses: {
        200: jsonResponse(
          pageOf(poolBodySchema),
          "Pools of the account's models that had a prediction, or were kept ready, in the last day, the latest first",
        ),
        ...problems(400, 401),
      },
    }),
    async (context) => {
      const { account } = context.get('caller');
      const { cursor } = context.req.valid('query');
      const page = await pools.listActive(account, now(), { limit: pageSize, cursor });
      const results = await Promise.all(
        page.items.map(async (pool) => {
          const [queued, running, state] = await Promise.all([
            jobs.count(pool.id, 'queued', countLimit),
            jobs.count(pool.id, 'running', countLimit),
            pools.state(pool.id),
          ]);
          return poolBody(pool, { queued, running, state });
        }),
      );
      const next = nextUrl(`${publicUrl()}/v1/pools`, page.next);
      return context.json({ next, previous: null, results }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/models/{owner}/{name}/setup-logs',
      operationId: 'models.setupLogs',
      request: { params: z.object({ owner: z.string(), name: z.string() }), query },
      responses: {
        200: jsonResponse(pageOf(setupLogSchema), 'What the setups of its instances printed'),
        ...problems(400, 401, 404),
      },
    }),
    async (context) => {
      const { owner, name } = context.req.valid('param');
      const model = `${owner}/${name}`;
      const { account } = context.get('caller');
      const { cursor } = context.req.valid('query');
      const isOfModel = (pool: Pool) => pool.model === model;
      const page = await pools.listActive(account, now(), { limit: pageSize, cursor }, isOfModel);
      const ofModel = page.items;
      if (ofModel.length === 0 && cursor === undefined && page.next === undefined) {
        const detail = `No model ${model} of yours had a prediction or was kept ready in the last day, so nothing was set up.`;
        throw new ProblemError('not_found', detail);
      }
      const states = await Promise.all(ofModel.map(async (pool) => pools.state(pool.id)));
      const results = ofModel.flatMap((pool, index) => setupLogs(pool, states[index]));
      const next = nextUrl(`${publicUrl()}/v1/models/${model}/setup-logs`, page.next);
      return context.json({ next, previous: null, results }, 200);
    },
  );
}

function poolBody(
  { id, model, version, hardware }: Pool,
  { queued, running, state }: { queued: number; running: number; state: PoolState | undefined },
): z.infer<typeof poolBodySchema> {
  const breaker = state?.breaker;
  return {
    pool: id,
    model,
    version,
    hardware,
    queued,
    running,
    desired: state?.desired ?? null,
    reason: state?.reason ?? null,
    breaker: breaker ? { until: isoTime(breaker.until), message: breaker.message } : null,
    instances: (state?.instances ?? []).map((instance) => ({
      id: instance.id,
      phase: instance.phase,
      since: isoTime(sinceOf(instance)),
      running: instance.running,
      idle_since: instance.idleSince === null ? null : isoTime(instance.idleSince),
      failure: instance.failure,
      ...(instance.detail === undefined ? {} : { detail: instance.detail }),
    })),
    updated_at: state ? isoTime(state.at) : null,
  };
}

/** When it became ready, else when it was started. */
function sinceOf({ phase, readyAt, startedAt }: Instance): number {
  return phase === 'ready' ? (readyAt ?? startedAt) : startedAt;
}

function setupLogs(pool: Pool, state: PoolState | undefined): z.infer<typeof setupLogSchema>[] {
  if (!state) return [];
  const about = { pool: pool.id, version: pool.version, hardware: pool.hardware };
  const ofInstances = state.instances.map((instance) => ({
    ...about,
    instance: instance.id,
    phase: instance.phase,
    since: isoTime(sinceOf(instance)),
    failure: instance.failure,
    logs: instance.setupLogs,
  }));
  const { breaker } = state;
  if (!breaker) return ofInstances;
  const failure = { code: 'setup_failed', message: breaker.message };
  const last = { instance: null, phase: 'failed' as const, since: isoTime(state.at), failure };
  return [...ofInstances, { ...about, ...last, logs: breaker.setupLogs }];
}
