import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openApi, type TestApi } from '../support/api.ts';
import { mimeo } from './command.ts';

let test: TestApi;
let server: Server;
let env: Readonly<Record<string, string>>;
beforeAll(async () => {
  test = await openApi(undefined, { now: Date.now });
  server = createAdaptorServer({ fetch: test.api.fetch }) as Server;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  env = { MIMEO_URL: url, MIMEO_API_TOKEN: test.token };
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await test.close();
});

it('makes, lists and revokes what lends a machine', async () => {
  const made = await mimeo(['runner-tokens', 'create', 'workstation'], { env });
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^r8_\w+\n$/) });
  expect(made.stderr).toContain('npx mimeo runner OWNER/NAME --url');

  const [token] = JSON.parse((await mimeo(['runner-tokens', '--json'], { env })).stdout);
  expect(token).toMatchObject({ name: 'workstation', scope: 'runner', revoked_at: null });

  expect((await mimeo(['runner-tokens', 'revoke', token.id], { env })).code).toBe(0);
  expect((await mimeo(['runner-tokens', 'list'], { env })).stdout).toMatch(/revoked .* {2}workstation\n$/);
});

it('says that there is no such token', async () => {
  const { code, stderr } = await mimeo(['runner-tokens', 'revoke', 'nope'], { env });

  expect(code).not.toBe(0);
  expect(stderr).toContain('You have no token nope.');
});
