import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import type { InstanceRecord } from '../../core/instance-record.ts';
import { instancePhases } from '../../core/pool.ts';
import type { InstanceRecords } from '../../data/instance-records.ts';
import type { ApiEnv } from '../auth.ts';
import { jsonResponse, problems } from '../openapi.ts';
import { nextUrl } from '../paging.ts';
import { pageOf } from '../schemas.ts';
import { isoTime } from '../views.ts';

const pageSize = 100;

const instanceBodySchema = z
  .object({
    id: z.string(),
    pool: z.string(),
    model: z.string(),
    version: z.string(),
    hardware: z.string(),
    started_at: z.string(),
    ready_at: z.string().nullable(),
    ended_at: z.string().nullable().openapi({ description: 'Null while it is there' }),
    phases: z.array(z.object({ phase: z.enum(instancePhases), at: z.string() })).openapi({
      description: 'Each phase that it was in, and since when: what a cold start was made of',
    }),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
  })
  .openapi('Instance');

const query = z.object({
  cursor: z.string().optional(),
  model: z.string().optional().openapi({ description: 'owner/name: only those of one model' }),
});

interface Parts {
  readonly records: InstanceRecords;
  readonly publicUrl: () => string;
}

/** What instances an account's models had, and what became of each. */
export function instanceRoutes(app: OpenAPIHono<ApiEnv>, { records, publicUrl }: Parts): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/instances',
      operationId: 'instances.list',
      request: { query },
      responses: {
        200: jsonResponse(
          pageOf(instanceBodySchema),
          "Instances of the account's models, the latest started first, for 400 days",
        ),
        ...problems(400, 401),
      },
    }),
    async (context) => {
      const { account } = context.get('caller');
      const { cursor, model } = context.req.valid('query');
      const matches = model === undefined ? undefined : (record: InstanceRecord) => record.model === model;
      const page = await records.list(account, { limit: pageSize, cursor }, matches);
      const next = nextUrl(`${publicUrl()}/v1/instances`, page.next, { model });
      return context.json({ next, previous: null, results: page.items.map(instanceBody) }, 200);
    },
  );
}

function instanceBody(record: InstanceRecord): z.infer<typeof instanceBodySchema> {
  const { id, pool, model, version, hardware, startedAt, readyAt, endedAt, phases, failure } = record;
  return {
    ...{ id, pool, model, version, hardware, failure },
    started_at: isoTime(startedAt),
    ready_at: readyAt === null ? null : isoTime(readyAt),
    ended_at: endedAt === null ? null : isoTime(endedAt),
    phases: phases.map(({ phase, at }) => ({ phase, at: isoTime(at) })),
  };
}
