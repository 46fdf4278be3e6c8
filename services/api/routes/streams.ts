import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { streamSSE } from 'hono/streaming';
import { ProblemError } from '../../core/errors.ts';
import type { Jobs } from '../../data/jobs.ts';
import type { Channel } from '../../ports/channel/port.ts';
import type { Objects } from '../../ports/objects/port.ts';
import type { ApiEnv } from '../auth.ts';
import { verifyCapability } from '../capability.ts';
import { problems } from '../openapi.ts';
import { streamEvents } from '../stream.ts';

/** Clients drop a connection that is silent for 30 s. */
const keepAliveMs = 10_000;

/** Any page may read a stream whose signed URL it was given. */
const cors = { 'access-control-allow-origin': '*' };

interface Parts {
  readonly jobs: Jobs;
  readonly channel: Channel;
  readonly objects: Objects;
  /** URLs are good that any of these has signed. */
  readonly streamKeys: readonly Buffer[];
  readonly now: () => number;
  /** Ends streams before their ends: who reads them comes back with the id of what came last. */
  readonly leaving: AbortSignal;
}

/** A prediction's output as it comes, by a URL that carries its own right to it. */
export function streamRoutes(app: OpenAPIHono<ApiEnv>, parts: Parts): void {
  app.options('/v1/streams/:id', (context) =>
    context.body(null, 204, {
      ...cors,
      'access-control-allow-methods': 'GET',
      'access-control-allow-headers': 'authorization, cache-control, last-event-id',
      'access-control-max-age': '86400',
    }),
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/streams/{id}',
      operationId: 'predictions.stream',
      security: [],
      request: {
        params: z.object({ id: z.string() }),
        query: z.object({ expires: z.string().regex(/^\d{1,12}$/), signature: z.string() }),
        headers: z.object({ 'last-event-id': z.string().max(100).optional() }),
      },
      responses: {
        200: {
          content: { 'text/event-stream': { schema: z.string() } },
          description: 'output, logs, error and done events',
        },
        ...problems(400, 401, 404),
      },
    }),
    async (context) => {
      const { id } = context.req.valid('param');
      const { expires, signature } = context.req.valid('query');
      const given = { subject: `stream:${id}`, expiresAt: Number(expires), signature };
      if (!parts.streamKeys.some((key) => verifyCapability(key, given, parts.now()))) {
        throw new ProblemError(
          'unauthenticated',
          'The stream URL is not valid, or its time is over. Get the prediction for a new one.',
          cors,
        );
      }
      if (!(await parts.jobs.get(id)))
        throw new ProblemError('not_found', `There is no prediction ${id}.`, cors);
      const lastEventId = context.req.valid('header')['last-event-id'];
      for (const [name, value] of Object.entries(cors)) context.header(name, value);
      // Hono answers HEAD by this handler and never reads the body, which would then wait for ever.
      if (context.req.method === 'HEAD')
        return context.body(null, 200, { 'content-type': 'text/event-stream' });
      return streamSSE(context, async (sse) => {
        const abort = new AbortController();
        sse.onAbort(() => abort.abort());
        const signal = AbortSignal.any([abort.signal, parts.leaving]);
        await sse.write(': connected\n\n');
        const timer = setInterval(() => void sse.write(': waiting\n\n'), keepAliveMs);
        try {
          for await (const event of streamEvents(parts, id, lastEventId, signal)) await sse.writeSSE(event);
        } finally {
          clearInterval(timer);
        }
      });
    },
  );
}
