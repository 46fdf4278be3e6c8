import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import { webhookEvents } from '../../core/webhook.ts';
import { type Deliveries, type Delivery, deliveriesTopic, deliveryStates } from '../../data/deliveries.ts';
import type { WebhookSecrets } from '../../data/webhook-secrets.ts';
import type { Channel } from '../../ports/channel/port.ts';
import type { ApiEnv } from '../auth.ts';
import { jsonBody, jsonResponse, problems } from '../openapi.ts';
import { nextUrl } from '../paging.ts';
import { pageOf } from '../schemas.ts';
import { isoTime } from '../views.ts';

/** Deliveries that are looked at for one page. */
const pageSize = 100;

const deliverySchema = z
  .object({
    id: z.string().openapi({ description: 'Also the `webhook-id` header, the same on every try' }),
    prediction: z.string(),
    event: z.enum(webhookEvents),
    url: z.string(),
    state: z.enum(deliveryStates),
    created_at: z.string(),
    next_try_at: z.string().nullable(),
    attempts: z.array(
      z.object({
        at: z.string(),
        status: z.int().nullable(),
        ms: z.number(),
        error: z.string().nullable(),
        excerpt: z.string().openapi({ description: 'The beginning of what the receiver answered' }),
      }),
    ),
  })
  .openapi('Delivery');
type DeliveryBody = z.infer<typeof deliverySchema>;

const params = z.object({ id: z.string() });
const one = { 200: jsonResponse(deliverySchema, 'The delivery'), ...problems(401, 404) };

interface Parts {
  readonly deliveries: Deliveries;
  readonly secrets: WebhookSecrets;
  readonly channel: Channel;
  readonly publicUrl: () => string;
  readonly now: () => number;
}

/** The secret that webhooks are signed with, and what became of each. */
export function webhookRoutes(app: OpenAPIHono<ApiEnv>, parts: Parts): void {
  const { deliveries, secrets, channel, publicUrl, now } = parts;
  const own = async (id: string, account: string) => {
    const delivery = await deliveries.get(id);
    if (delivery?.account !== account) throw new ProblemError('not_found', `There is no delivery ${id}.`);
    return delivery;
  };
  const redeliver = async ({ id }: Delivery) => {
    const at = now();
    return await deliveries.update(id, (known) => ({
      ...known,
      state: 'pending',
      nextTryAt: at,
      // A new round of tries, even where two come in one millisecond.
      since: Math.max(at, known.since + 1),
      failures: 0,
      isRedelivery: true,
    }));
  };

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/webhooks/default/secret',
      operationId: 'webhooks.default.secret.get',
      responses: {
        200: jsonResponse(z.object({ key: z.string() }), 'What webhooks are signed with'),
        ...problems(401),
      },
    }),
    async (context) => context.json({ key: await secrets.get(context.get('caller').account) }, 200),
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/webhooks/deliveries',
      operationId: 'webhooks.deliveries.list',
      request: {
        query: z.object({
          prediction: z.string().min(1).max(100).optional(),
          state: z.enum(deliveryStates).optional(),
          cursor: z.string().optional(),
        }),
      },
      responses: { 200: jsonResponse(pageOf(deliverySchema), 'A page, newest first'), ...problems(400, 401) },
    }),
    async (context) => {
      const { prediction, state, cursor } = context.req.valid('query');
      const { account } = context.get('caller');
      const page = await deliveries.list({ account, job: prediction }, { limit: pageSize, cursor });
      const found = page.items.filter((delivery) => state === undefined || delivery.state === state);
      const next = nextUrl(`${publicUrl()}/v1/webhooks/deliveries`, page.next, { prediction, state });
      return context.json({ next, previous: null, results: found.map(deliveryBody) }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/webhooks/deliveries/{id}',
      operationId: 'webhooks.deliveries.get',
      request: { params },
      responses: one,
    }),
    async (context) =>
      context.json(
        deliveryBody(await own(context.req.valid('param').id, context.get('caller').account)),
        200,
      ),
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/webhooks/deliveries/redeliver',
      operationId: 'webhooks.deliveries.redeliverSince',
      request: { body: jsonBody(z.object({ since: z.iso.datetime({ offset: true }) })) },
      responses: {
        200: jsonResponse(z.object({ redelivered: z.int() }), 'How many are tried anew'),
        ...problems(400, 401, 413, 415, 422),
      },
    }),
    async (context) => {
      const { account } = context.get('caller');
      const after = Date.parse(context.req.valid('json').since);
      let redelivered = 0;
      let cursor: string | undefined;
      do {
        const page = await deliveries.list(
          { account, after: Math.max(0, after) },
          { limit: pageSize, cursor },
        );
        for (const delivery of page.items.filter(isMissed)) {
          await redeliver(delivery);
          redelivered += 1;
        }
        cursor = page.next;
      } while (cursor !== undefined);
      await channel.ring(deliveriesTopic);
      return context.json({ redelivered }, 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/webhooks/deliveries/{id}/redeliver',
      operationId: 'webhooks.deliveries.redeliver',
      request: { params },
      responses: one,
    }),
    async (context) => {
      const delivery = await own(context.req.valid('param').id, context.get('caller').account);
      const again = await redeliver(delivery);
      await channel.ring(deliveriesTopic);
      return context.json(deliveryBody(again ?? delivery), 200);
    },
  );
}

/** What has not arrived and is worth it: old output and logs are part of `completed`. */
function isMissed({ state, event }: Delivery): boolean {
  return state !== 'delivered' && (event === 'start' || event === 'completed');
}

function deliveryBody(delivery: Delivery): DeliveryBody {
  const { id, job, event, url, state, createdAt, nextTryAt } = delivery;
  return {
    id,
    prediction: job,
    event,
    url,
    state,
    created_at: isoTime(createdAt),
    next_try_at: nextTryAt === null ? null : isoTime(nextTryAt),
    attempts: delivery.attempts.map((attempt) => ({ ...attempt, at: isoTime(attempt.at) })),
  };
}
