import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { ProblemError } from '../../core/errors.ts';
import type { HardwareCatalogue } from '../../core/hardware.ts';
import type { Accounts } from '../../data/accounts.ts';
import type { ApiEnv } from '../auth.ts';
import { jsonResponse, problems } from '../openapi.ts';
import { accountBodySchema, hardwareBodySchema } from '../schemas.ts';
import { accountBody, hardwareBody } from '../views.ts';

interface Parts {
  readonly accounts: Accounts;
  readonly hardware: HardwareCatalogue;
}

/** Who one is, and what there is to run on. */
export function accountRoutes(app: OpenAPIHono<ApiEnv>, { accounts, hardware }: Parts): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/account',
      operationId: 'account.get',
      responses: {
        200: jsonResponse(accountBodySchema, 'The account that the token acts for'),
        ...problems(401),
      },
    }),
    async (context) => {
      const { account: username } = context.get('caller');
      const account = await accounts.get(username);
      if (!account)
        throw new ProblemError('unauthenticated', `The account ${username} does not exist any more.`);
      return context.json(accountBody(account), 200);
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/hardware',
      operationId: 'hardware.list',
      responses: {
        200: jsonResponse(z.array(hardwareBodySchema), 'What models can run on, with prices'),
        ...problems(401),
      },
    }),
    (context) => context.json(hardware.all.map(hardwareBody), 200),
  );
}
