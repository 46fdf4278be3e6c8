import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Accounts } from '../../services/data/accounts.ts';
import { openApi, schemaWith, type TestApi } from '../support/api.ts';

let test: TestApi;
let stranger: { authorization: string };
beforeAll(async () => {
  test = await openApi();
  stranger = { authorization: `Bearer ${await test.addAccount('stranger')}` };
  await test.addModel({ name: 'secret', visibility: 'private' }, { id: 'a'.repeat(64) });
  await test.addModel({ name: 'open', visibility: 'public' }, { id: 'b'.repeat(64) });
  // The same content as the private model of `local`, in a model of the stranger's own.
  await test.addModel({ name: 'copy', account: 'stranger' }, { id: 'c'.repeat(64) });
  await test.addModel({ name: 'copied' }, { id: 'c'.repeat(64) });
});
afterAll(async () => test.close());

async function status(path: string, headers: Record<string, string>): Promise<number> {
  return (await test.api.app.request(path, { headers })).status;
}

describe('tokens', () => {
  it('are taken in the present form and in the legacy one', async () => {
    for (const scheme of ['Bearer', 'Token', 'bearer', 'token'])
      expect(await status('/v1/account', { authorization: `${scheme} ${test.token}` })).toBe(200);
  });

  it.each([
    ['no header', {}],
    ['an empty header', { authorization: '' }],
    ['a scheme alone', { authorization: 'Bearer' }],
    ['a scheme and a space', { authorization: 'Bearer ' }],
    ['a token that was never given out', { authorization: `Bearer r8_${'a'.repeat(37)}` }],
    ['another scheme', { authorization: 'Basic bG9jYWw6eA==' }],
    ['two tokens', { authorization: 'Bearer a b' }],
  ])('%s is refused', async (_, headers) => {
    const response = await test.api.app.request('/v1/account', {
      headers: headers as Record<string, string>,
    });

    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect(await response.json()).toMatchObject({ code: 'unauthenticated', title: 'Unauthenticated' });
  });

  it.each(['token', 'api_token', 'access_token', 'api_key', 'Token'])(
    'in a query string (?%s=) are refused',
    async (name) => {
      const response = await test.call('GET', `/v1/account?${name}=${test.token}`);

      expect(response.status).toBe(401);
      const { detail } = (await response.json()) as { detail: string };
      expect(detail).toContain(name);
      expect(detail).not.toContain(test.token);
    },
  );

  it('that are revoked stop working within 30 seconds', async () => {
    const accounts = new Accounts(test.table);
    const secret = 'r8_to-be-revoked';
    const token = { id: 'revoked', account: 'local', name: 'test', createdAt: 1, revokedAt: null };
    await accounts.putToken(secret, token);
    const headers = { authorization: `Bearer ${secret}` };
    expect(await status('/v1/account', headers)).toBe(200);

    await accounts.putToken(secret, { ...token, revokedAt: test.clock.now });
    test.clock.now += 30_001;

    expect(await status('/v1/account', headers)).toBe(401);
  });

  it('are wanted everywhere under /v1, and before anything else is looked at', async () => {
    for (const [method, path] of [
      ['GET', '/v1/predictions'],
      ['POST', '/v1/predictions'],
      ['GET', '/v1/models'],
      ['GET', '/v1/hardware'],
      ['POST', '/v1/models/local/secret/versions'],
      ['GET', '/v1/nothing'],
    ]) {
      expect((await test.api.app.request(String(path), { method })).status).toBe(401);
    }
  });
});

describe("another account's things", () => {
  it('that are private read as not there', async () => {
    const prediction = (await (
      await test.call('POST', '/v1/predictions', { version: 'local/secret', input: {} })
    ).json()) as { id: string };
    const id = 'a'.repeat(64);
    const reads = [
      '/v1/models/local/secret',
      '/v1/models/local/secret/versions',
      `/v1/models/local/secret/versions/${id}`,
      `/v1/predictions/${prediction.id}`,
    ];
    const writes: [string, object | undefined][] = [
      [`/v1/predictions/${prediction.id}/cancel`, undefined],
      ['/v1/models/local/secret/predictions', { input: {} }],
      ['/v1/predictions', { version: 'local/secret', input: {} }],
      ['/v1/predictions', { version: id, input: {} }],
      ['/v1/predictions', { version: `local/secret:${id}`, input: {} }],
    ];

    for (const path of reads) expect((await test.call('GET', path)).status, path).toBe(200);
    for (const path of reads)
      expect((await test.call('GET', path, undefined, stranger)).status, path).toBe(404);
    for (const [path, body] of writes) {
      const response = await test.call('POST', path, body, stranger);
      expect(response.status, path).toBe(404);
    }
    expect(await (await test.call('GET', `/v1/predictions/${prediction.id}`)).json()).toMatchObject({
      status: 'starting',
    });
    const push = { ...stranger, 'content-type': 'application/gzip' };
    expect((await test.call('POST', '/v1/models/local/secret/versions', 'x', push)).status).toBe(404);
  });

  it('read exactly as things that nobody has', async () => {
    const hidden = await test.call('GET', '/v1/models/local/secret', undefined, stranger);
    const absent = await test.call('GET', '/v1/models/local/absent', undefined, stranger);

    const text = (await hidden.text()).replaceAll('secret', 'absent');
    expect(text).toBe(await absent.text());
    expect([...hidden.headers]).toEqual([...absent.headers]);
  });

  it('are not in lists', async () => {
    await test.call('POST', '/v1/predictions', { version: 'local/open', input: {} });
    const predictions = await (await test.call('GET', '/v1/predictions', undefined, stranger)).json();
    const models = (await (await test.call('GET', '/v1/models', undefined, stranger)).json()) as {
      results: { name: string }[];
    };

    expect(predictions).toEqual({ next: null, previous: null, results: [] });
    expect(models.results.map(({ name }) => name)).toEqual(['open']);
  });

  it('are listed to their owner alone', async () => {
    const listed = async (headers?: Record<string, string>) => {
      const response = await test.call('GET', '/v1/models?visibility=private', undefined, headers);
      const { results } = (await response.json()) as { results: { name: string; visibility: string }[] };
      expect(results.every(({ visibility }) => visibility === 'private')).toBe(true);
      return results.map(({ name }) => name);
    };

    expect((await listed()).sort()).toEqual(['copied', 'secret']);
    expect(await listed(stranger)).toEqual(['copy']);
  });

  it('that are public can be run, and the run belongs to the one who runs', async () => {
    const body = { version: 'b'.repeat(64), input: {} };
    const response = await test.call('POST', '/v1/predictions', body, stranger);
    const { id } = (await response.json()) as { id: string };

    expect(response.status).toBe(201);
    expect((await test.call('GET', `/v1/predictions/${id}`, undefined, stranger)).status).toBe(200);
    expect((await test.call('GET', `/v1/predictions/${id}`)).status).toBe(404);
  });

  it('that are public are not pushed to', async () => {
    const headers = { ...stranger, 'content-type': 'application/gzip' };

    expect((await test.call('POST', '/v1/models/local/open/versions', 'x', headers)).status).toBe(403);
  });

  it('with the same content are never run in place of one’s own', async () => {
    const run = async (headers?: Record<string, string>) => {
      const body = { version: 'c'.repeat(64), input: {} };
      return ((await (await test.call('POST', '/v1/predictions', body, headers)).json()) as { model: string })
        .model;
    };

    expect(await run(stranger)).toBe('stranger/copy');
    expect(await run()).toBe('local/copied');
  });
});

describe('what is secret', () => {
  const secret = { type: 'string', format: 'password', 'x-cog-secret': true };

  it.each([
    ['a secret', secret, 'hunter2'],
    ['a list of secrets', { type: 'array', items: secret }, ['hunter2']],
    ['one of several types', { anyOf: [secret, { type: 'integer' }] }, 'hunter2'],
  ])('as %s is shown in no answer', async (name, schema, value) => {
    const openapiSchema = schemaWith({ key: schema, text: { type: 'string' } });
    const model = name.replaceAll(' ', '-');
    await test.addModel(
      { name: model },
      { id: createHash('sha256').update(name).digest('hex'), openapiSchema },
    );
    const body = { version: `local/${model}`, input: { key: value, text: 'shown' } };

    const created = await (await test.call('POST', '/v1/predictions', body)).text();
    const { id } = JSON.parse(created) as { id: string };
    const read = await (await test.call('GET', `/v1/predictions/${id}`)).text();
    const listed = await (await test.call('GET', '/v1/predictions')).text();

    for (const text of [created, read, listed]) {
      expect(text).not.toContain('hunter2');
      expect(text).toContain('"text":"shown"');
    }
  });
});
