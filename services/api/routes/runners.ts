import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import { sharedPoolId } from '../../core/pool.ts';
import type { ApiEnv } from '../auth.ts';
import type { Catalogue } from '../catalogue.ts';
import type { FleetTokens } from '../fleet-tokens.ts';
import { jsonResponse, problems } from '../openapi.ts';
import { isoTime } from '../views.ts';

/** Short, so that a runner stops soon after its owner's token was revoked: it asks for the next by that token. */
const tokenSeconds = 300;

const runnerTokenSchema = z
  .object({
    token: z.string().openapi({ description: 'For the fleet protocol; it takes jobs of this pool only' }),
    expires_at: z.string(),
    pool: z.string(),
    image: z.string().nullable().openapi({ description: 'The image to run; null for a version of a folder' }),
    concurrency: z.int().positive().openapi({ description: 'Predictions that one instance runs at once' }),
    streams: z.boolean().openapi({ description: 'Whether its output is an iterator' }),
  })
  .openapi('RunnerToken');

/** Lets owners run their models' predictions on machines of their own. */
export function runnerRoutes(
  app: OpenAPIHono<ApiEnv>,
  parts: { readonly catalogue: Catalogue; readonly tokens: FleetTokens; readonly now: () => number },
): void {
  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/models/{owner}/{name}/versions/{version_id}/runner-token',
      operationId: 'models.versions.runner_token',
      request: { params: z.object({ owner: z.string(), name: z.string(), version_id: z.string() }) },
      responses: {
        200: jsonResponse(
          runnerTokenSchema,
          "What a machine of one's own proves itself by, for five minutes",
        ),
        ...problems(401, 404),
      },
    }),
    async (context) => {
      const { owner, name, version_id: id } = context.req.valid('param');
      const { account } = context.get('caller');
      const { model, version } = await parts.catalogue.version(`${owner}/${name}`, id, account);
      // Whoever runs a model sees its callers' inputs.
      if (model.account !== account) {
        throw new ProblemError(
          'not_found',
          `You have no model ${owner}/${name}; only its owner may run it elsewhere.`,
        );
      }
      const { hardware } = model;
      const pool = sharedPoolId({ model: `${owner}/${name}`, version: version.id, hardware });
      context.header('cache-control', 'no-store');
      return context.json(
        {
          token: parts.tokens.mint({ role: 'runner', pool }, tokenSeconds),
          expires_at: isoTime(parts.now() + tokenSeconds * 1000),
          pool,
          image: version.image ?? null,
          concurrency: version.concurrency,
          streams: version.streams,
        },
        200,
      );
    },
  );
}
