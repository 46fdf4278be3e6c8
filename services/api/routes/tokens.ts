import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { type Token, tokenScopes } from '../../core/account.ts';
import { ProblemError } from '../../core/errors.ts';
import type { Accounts } from '../../data/accounts.ts';
import type { ApiEnv } from '../auth.ts';
import { jsonBody, jsonResponse, problems } from '../openapi.ts';
import { isoTime } from '../views.ts';

/** Tokens of an account that open something, at most. */
const maxTokens = 200;

const tokenBodySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    scope: z.enum(tokenScopes),
    created_at: z.string(),
    revoked_at: z.string().nullable(),
  })
  .openapi('Token');

const newTokenSchema = tokenBodySchema
  .extend({ token: z.string().openapi({ description: 'Shown this once; only its hash is stored' }) })
  .openapi('NewToken');

const createSchema = z.strictObject({
  name: z
    .string()
    .trim()
    .min(1)
    .max(100)
    .openapi({ description: 'What it is for, such as the name of a machine' }),
  scope: z.enum(tokenScopes).openapi({ description: 'runner: lends machines, and opens nothing else' }),
});

/** Tokens of one's own account: made, listed without their secrets, and revoked. */
export function tokenRoutes(
  app: OpenAPIHono<ApiEnv>,
  { accounts, now }: { readonly accounts: Accounts; readonly now: () => number },
): void {
  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/account/tokens',
      operationId: 'account.tokens.create',
      request: { body: jsonBody(createSchema) },
      responses: { 201: jsonResponse(newTokenSchema, 'The token'), ...problems(400, 401, 409, 422) },
    }),
    async (context) => {
      const { account } = context.get('caller');
      const valid = (await accounts.tokens(account)).filter(({ revokedAt }) => revokedAt === null);
      if (valid.length >= maxTokens)
        throw new ProblemError('conflict', `There are ${maxTokens} tokens; revoke one that nobody uses.`);
      const { token, secret } = await accounts.addToken({
        ...context.req.valid('json'),
        account,
        now: now(),
      });
      context.header('cache-control', 'no-store');
      return context.json({ ...tokenBody(token), token: secret }, 201);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/account/tokens',
      operationId: 'account.tokens.list',
      responses: {
        200: jsonResponse(z.array(tokenBodySchema), 'Tokens, oldest first, revoked ones too'),
        ...problems(401),
      },
    }),
    async (context) =>
      context.json((await accounts.tokens(context.get('caller').account)).map(tokenBody), 200),
  );

  app.openapi(
    createRoute({
      method: 'delete',
      path: '/v1/account/tokens/{id}',
      operationId: 'account.tokens.revoke',
      request: { params: z.object({ id: z.string() }) },
      responses: {
        204: {
          description:
            'It opens nothing from 30 seconds later at the latest; a machine that it has lent stops within six minutes',
        },
        ...problems(401, 404),
      },
    }),
    async (context) => {
      const { id } = context.req.valid('param');
      if (await accounts.revokeToken(context.get('caller').account, id, now()))
        return context.body(null, 204);
      throw new ProblemError('not_found', `You have no token ${id}.`);
    },
  );
}

function tokenBody({ id, name, scope, createdAt, revokedAt }: Token) {
  return {
    id,
    name,
    scope: scope ?? 'all',
    created_at: isoTime(createdAt),
    revoked_at: revokedAt === null ? null : isoTime(revokedAt),
  };
}
