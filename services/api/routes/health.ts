import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import type { ApiEnv } from '../auth.ts';
import { jsonResponse, problems } from '../openapi.ts';

const health = jsonResponse(z.object({ status: z.literal('ok') }), 'It is');

/**
 * Whether the service is alive, and whether it can serve; open to everybody.
 * @param isReady whether everything that a request needs answers
 */
export function healthRoutes(app: OpenAPIHono<ApiEnv>, isReady: () => Promise<boolean>): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/healthz',
      operationId: 'healthz',
      summary: 'Whether the process is alive',
      security: [],
      responses: { 200: health },
    }),
    (context) => context.json({ status: 'ok' as const }, 200),
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/readyz',
      operationId: 'readyz',
      summary: 'Whether requests can be served',
      security: [],
      responses: { 200: health, ...problems(503) },
    }),
    async (context) => {
      if (!(await isReady()))
        throw new ProblemError('unavailable', 'The store does not answer, or the server is stopping.');
      return context.json({ status: 'ok' as const }, 200);
    },
  );
}
