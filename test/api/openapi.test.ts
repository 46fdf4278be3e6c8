import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharedPoolId } from '../../services/core/pool.ts';
import { openApi, type TestApi } from '../support/api.ts';

interface Operation {
  readonly operationId: string;
  readonly responses: Record<string, { content?: Record<string, { schema: object }> }>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, object> };
}

let test: TestApi;
let document: Document;
let ajv: Ajv2020;
beforeAll(async () => {
  test = await openApi();
  const response = await test.api.app.request('/openapi.json');
  document = (await response.json()) as Document;
  ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ $id: 'document', components: document.components });
  await test.addModel({ name: 'open', visibility: 'public' }, { streams: true });
});
afterAll(async () => test.close());

/** Calls, and holds the answer against what the document says of the operation at `template`. */
async function answered(template: string, method: string, path: string, body?: unknown, headers = {}) {
  const response = await test.call(method, path, body, headers);
  const described = document.paths[template]?.[method.toLowerCase()]?.responses[response.status];
  expect(described, `${method} ${template} may answer ${response.status}`).toBeDefined();
  const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
  const schema = described?.content?.[type]?.schema;
  expect(schema, `${method} ${template} may answer ${response.status} as ${type}`).toBeDefined();
  const answer: unknown = await response.json();
  const validate = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/')));
  validate(answer);
  expect(validate.errors ?? []).toEqual([]);
  return answer as Record<string, unknown>;
}

describe('the OpenAPI document', () => {
  it('is there, open to everybody, with every operation named once', () => {
    expect(document.openapi).toBe('3.1.0');
    const names = Object.values(document.paths).flatMap((path) =>
      Object.values(path).map(({ operationId }) => operationId),
    );
    expect(names).toEqual(expect.arrayContaining(['predictions.create', 'models.get', 'account.get']));
    expect(new Set(names).size).toBe(names.length);
  });

  it('has only schemas that can be read', () => {
    for (const name of Object.keys(document.components.schemas))
      expect(() => ajv.compile({ $ref: `document#/components/schemas/${name}` }), name).not.toThrow();
  });

  it('describes what is answered along the life of a prediction', async () => {
    const create = ['/v1/predictions', 'POST', '/v1/predictions'] as const;
    const body = { version: 'local/open', input: { text: 'x' }, webhook: null };
    const { id } = await answered(...create, body);
    const one = ['/v1/predictions/{id}', 'GET', `/v1/predictions/${id}`] as const;
    await answered(...one);
    const pool = sharedPoolId({ model: 'local/open', version: 'a'.repeat(64), hardware: 'cpu' });
    const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
    const job = await runner.lease({ instance: 'instance', waitSeconds: 0 });
    await answered(...one);
    const failure = { code: 'model_error', message: 'no' } as const;
    const metrics = { tokens: 3 };
    const outcome = { status: 'failed' as const, failure, output: ['a'], predictMs: 1, metrics };
    const events = [{ type: 'ended' as const, outcome, logs: 'l', acceptedAfterMs: 0 }];
    await runner.report({ id: String(id), attempt: job?.attempt ?? 0, events });
    expect((await answered(...one)).status).toBe('failed');
    const { id: other } = await answered(...create, body);
    await answered('/v1/predictions/{id}/cancel', 'POST', `/v1/predictions/${other}/cancel`);
    await answered('/v1/predictions', 'GET', '/v1/predictions');
  });

  it('describes models, versions, hardware and account', async () => {
    const model = { owner: 'local', name: 'empty', visibility: 'public', hardware: 'cpu' };
    const created = await answered('/v1/models', 'POST', '/v1/models', model);
    expect(created).toMatchObject({ latest_version: null, default_example: null });
    await answered('/v1/models', 'GET', '/v1/models');
    await answered('/v1/models/{owner}/{name}', 'GET', '/v1/models/local/open');
    const versions = '/v1/models/{owner}/{name}/versions';
    await answered(versions, 'GET', '/v1/models/local/open/versions');
    await answered(`${versions}/{id}`, 'GET', `/v1/models/local/open/versions/${'a'.repeat(64)}`);
    const [settings, warm] = ['/v1/models/{owner}/{name}', '/v1/models/{owner}/{name}/warm'];
    const window = { start: '0 8 * * *', end: '0 9 * * *', timezone: 'Europe/Berlin', min: 2 };
    await answered(settings, 'PATCH', '/v1/models/local/open', { scaling: { min: 1, schedule: [window] } });
    await answered(settings, 'GET', '/v1/models/local/open');
    await answered(warm, 'POST', '/v1/models/local/open/warm', {});
    for (const path of [
      '/v1/hardware',
      '/v1/account',
      '/v1/registry',
      '/healthz',
      '/readyz',
      '/v1/webhooks/default/secret',
      '/v1/webhooks/deliveries',
    ])
      await answered(path, 'GET', path);
  });

  it('describes refusals', async () => {
    const predictions = ['/v1/predictions', 'POST', '/v1/predictions'] as const;
    await answered(...predictions, '{');
    await answered(...predictions, '{}', { authorization: 'Bearer no' });
    await answered(...predictions, { version: 'local/nothing', input: {} });
    await answered(...predictions, '{}', { 'content-type': 'text/plain' });
    await answered(...predictions, { version: 'local/open', input: {}, webhook: 'ftp://example.com' });
    await answered('/v1/predictions', 'GET', '/v1/predictions?cursor=x');
    await answered('/v1/models/{owner}/{name}', 'GET', '/v1/models/local/nothing');
    await answered('/v1/streams/{id}', 'GET', '/v1/streams/x');
    await answered('/v1/streams/{id}', 'GET', '/v1/streams/x?expires=1&signature=x');
    const warm = '/v1/models/{owner}/{name}/warm';
    await answered(warm, 'POST', '/v1/models/local/open/warm', { instances: 0 });
    await answered(warm, 'POST', '/v1/models/local/nothing/warm', {});
    const versions = '/v1/models/{owner}/{name}/versions';
    const gzip = { 'content-type': 'application/gzip' };
    await answered(versions, 'POST', '/v1/models/local/open/versions', undefined, gzip);
    await answered(versions, 'POST', '/v1/models/local/open/versions', '{}');
  });
});
