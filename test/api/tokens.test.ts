import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openApi, type TestApi } from '../support/api.ts';

interface TokenAnswer {
  readonly id: string;
  readonly token: string;
}

let test: TestApi;
beforeEach(async () => {
  test = await openApi();
});
afterEach(async () => test.close());

async function create(scope: string, name = 'workstation'): Promise<TokenAnswer> {
  const response = await test.call('POST', '/v1/account/tokens', { name, scope });
  expect(response.status).toBe(201);
  return (await response.json()) as TokenAnswer;
}

async function callWith(token: string, method: string, path: string, body?: unknown): Promise<number> {
  return (await test.call(method, path, body, { authorization: `Bearer ${token}` })).status;
}

describe('a token', () => {
  it('is shown once, and listed without its secret', async () => {
    const response = await test.call('POST', '/v1/account/tokens', { name: ' ci ', scope: 'all' });
    const { token, ...shown } = (await response.json()) as TokenAnswer;

    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(shown).toMatchObject({ name: 'ci', scope: 'all', revoked_at: null });
    const listed = await (await test.call('GET', '/v1/account/tokens')).json();
    expect(listed).toContainEqual(shown);
    expect(JSON.stringify(listed)).not.toContain(token);
    expect(await callWith(token, 'GET', '/v1/account')).toBe(200);
  });

  it('opens nothing from 30 seconds after it was revoked, and stays on the list', async () => {
    const { id, token } = await create('all');
    expect(await callWith(token, 'GET', '/v1/account')).toBe(200);

    expect((await test.call('DELETE', `/v1/account/tokens/${id}`)).status).toBe(204);
    test.clock.now += 30_001;

    expect(await callWith(token, 'GET', '/v1/account')).toBe(401);
    const listed = await (await test.call('GET', '/v1/account/tokens')).json();
    expect(listed).toContainEqual(expect.objectContaining({ id, revoked_at: expect.any(String) }));
  });

  it("of another account is neither listed nor revoked by one's own", async () => {
    const { id, token } = await create('all');
    const stranger = await test.addAccount('mallory');

    expect(await callWith(stranger, 'DELETE', `/v1/account/tokens/${id}`)).toBe(404);
    const list = await test.call('GET', '/v1/account/tokens', undefined, {
      authorization: `Bearer ${stranger}`,
    });
    expect(JSON.stringify(await list.json())).not.toContain(id);
    expect(await callWith(token, 'GET', '/v1/account')).toBe(200);
  });

  it('is not made of what is wrong', async () => {
    const wrong = [
      {},
      { name: '', scope: 'all' },
      { name: 'x'.repeat(101), scope: 'all' },
      { name: 'x', scope: 'admin' },
      { name: 'x', scope: 'all', account: 'mallory' },
    ];
    for (const body of wrong) expect((await test.call('POST', '/v1/account/tokens', body)).status).toBe(422);
  });

  it('is refused where there are too many, until one is revoked', async () => {
    const { id } = await create('runner');
    // The one that the account came with, and this.
    for (let count = 2; count < 200; count++) await create('runner');
    const body = { name: 'one more', scope: 'runner' };

    expect((await test.call('POST', '/v1/account/tokens', body)).status).toBe(409);
    await test.call('DELETE', `/v1/account/tokens/${id}`);
    expect((await test.call('POST', '/v1/account/tokens', body)).status).toBe(201);
  });
});

describe('a token of scope runner', () => {
  it('lends a machine to a model of its account', async () => {
    const { id: version } = await test.addModel({ name: 'echo' });
    const { token } = await create('runner');

    expect(await callWith(token, 'GET', '/v1/models/local/echo')).toBe(200);
    const path = `/v1/models/local/echo/versions/${version}/runner-token`;
    expect(await callWith(token, 'POST', path)).toBe(200);
  });

  it('opens nothing else', async () => {
    const { id: version } = await test.addModel({ name: 'echo' });
    const { id, token } = await create('runner');
    const calls = [
      ['GET', '/v1/account'],
      ['GET', '/v1/account/tokens'],
      ['POST', '/v1/account/tokens', { name: 'x', scope: 'all' }],
      ['DELETE', `/v1/account/tokens/${id}`],
      ['GET', '/v1/predictions'],
      ['POST', '/v1/predictions', { version, input: {} }],
      ['POST', '/v1/models/local/echo/predictions', { input: {} }],
      ['PATCH', '/v1/models/local/echo', { description: 'x' }],
      ['DELETE', '/v1/models/local/echo'],
      ['GET', '/v1/models'],
      ['GET', '/v1/files'],
      ['GET', '/v1/webhooks/default/secret'],
      ['GET', '/metrics'],
      ['GET', '/v1/models/local/echo/../../../v1/account'],
    ] as const;

    for (const [method, path, body] of calls)
      expect(await callWith(token, method, path, body), `${method} ${path}`).toBe(403);
  });
});
