import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import { type Push, Pushes } from '../../data/pushes.ts';
import type { RegistryAccess } from '../../ports/registry/port.ts';
import type { Table } from '../../ports/table/port.ts';
import type { ApiEnv } from '../auth.ts';
import { jsonResponse, problems } from '../openapi.ts';
import { nextUrl } from '../paging.ts';
import { pageOf } from '../schemas.ts';
import { isoTime } from '../views.ts';

const pageSize = 25;

interface Parts {
  readonly table: Table;
  /** Given where versions are made of images in a container registry. */
  readonly registry: RegistryAccess | undefined;
  readonly publicUrl: () => string;
  readonly now: () => number;
}

const tokenSchema = z
  .object({
    registry: z.string().openapi({ description: 'What `docker login` and image names take: host and port' }),
    username: z.string(),
    password: z.string(),
    created_at: z.string().openapi({ description: 'Versions that are older were there before the push' }),
    expires_at: z.string(),
    repository_prefix: z.string().openapi({
      description: "Images named `registry/repository_prefix/NAME:TAG` become the account's versions",
    }),
  })
  .openapi('RegistryToken');

const pushSchema = z
  .object({
    digest: z.string(),
    tag: z.string().nullable(),
    created_at: z.string(),
    status: z.enum(['registered', 'refused']),
    version: z.string().nullable().openapi({ description: 'Id of the version that it became' }),
    reason: z.string().nullable().openapi({ description: 'Why it was refused, and what to do' }),
  })
  .openapi('Push');

/** Logins for the container registry, and what became of the images that were pushed to it. */
export function registryRoutes(app: OpenAPIHono<ApiEnv>, parts: Parts): void {
  const { registry, publicUrl, now } = parts;
  const pushes = new Pushes(parts.table);

  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/registry/token',
      operationId: 'registry.token',
      responses: {
        200: jsonResponse(tokenSchema, "A login that pushes to the account's own repositories, for an hour"),
        ...problems(401, 404),
      },
    }),
    async (context) => {
      if (registry === undefined) {
        throw new ProblemError(
          'not_found',
          'This server has no container registry: it makes versions of folders. npx mimeo push DIR OWNER/NAME',
        );
      }
      const { account } = context.get('caller');
      const login = await registry.authorize(account);
      context.header('cache-control', 'no-store');
      return context.json(
        {
          registry: new URL(login.url).host,
          username: login.username,
          password: login.password,
          created_at: isoTime(now()),
          expires_at: isoTime(login.expiresAt),
          repository_prefix: registry.repositoryPrefix(account),
        },
        200,
      );
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/models/{owner}/{name}/pushes',
      operationId: 'models.pushes.list',
      request: {
        params: z.object({ owner: z.string(), name: z.string() }),
        query: z.object({ cursor: z.string().optional() }),
      },
      responses: {
        200: jsonResponse(pageOf(pushSchema), 'Images that were pushed in the last 30 days, newest first'),
        ...problems(400, 401, 404),
      },
    }),
    async (context) => {
      const { owner, name } = context.req.valid('param');
      // A push that was refused may have made no model, so it is the owner's name that counts.
      if (owner !== context.get('caller').account) {
        throw new ProblemError(
          'not_found',
          `You have no model ${owner}/${name}; pushes are shown to its owner.`,
        );
      }
      const { cursor } = context.req.valid('query');
      const page = await pushes.list(`${owner}/${name}`, { limit: pageSize, cursor });
      const next = nextUrl(`${publicUrl()}/v1/models/${owner}/${name}/pushes`, page.next);
      return context.json({ next, previous: null, results: page.items.map(pushBody) }, 200);
    },
  );
}

function pushBody({ digest, tag, pushedAt, version, reason }: Push): z.infer<typeof pushSchema> {
  const status = reason === null ? 'registered' : 'refused';
  return { digest, tag, created_at: isoTime(pushedAt), status, version, reason };
}
