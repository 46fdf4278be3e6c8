import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sharedPoolId } from '../../services/core/pool.ts';
import { isEndedJob } from '../../services/data/jobs.ts';
import { openApi, schemaWith, type TestApi } from '../support/api.ts';

const first = 'a'.repeat(64);
const second = 'b'.repeat(64);

let test: TestApi;
beforeEach(async () => {
  test = await openApi();
  await test.addModel({ name: 'echo' }, { id: first });
});
afterEach(async () => test.close());

// biome-ignore lint/suspicious/noExplicitAny: -- tests read what they expect from the answer
async function json(method: string, path: string, body?: unknown, headers = {}): Promise<any> {
  const response = await test.call(method, path, body, headers);
  const text = await response.text();
  return { status: response.status, ...(text === '' ? {} : JSON.parse(text)) };
}

async function addVersion(id: string): Promise<void> {
  const known = await test.models.getVersion('local/echo', first);
  if (!known) throw new Error('no first version');
  await test.models.addVersion({ ...known, id, createdAt: known.createdAt + 1000 });
}

/** A prediction that has succeeded. */
async function succeeded(model = 'echo'): Promise<string> {
  const { id } = await json('POST', `/v1/models/local/${model}/predictions`, { input: { text: 'x' } });
  const pool = sharedPoolId({ model: `local/${model}`, version: first, hardware: 'cpu' });
  const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
  const job = await runner.lease({ instance: 'instance', waitSeconds: 0 });
  const outcome = { status: 'succeeded' as const, output: 'x', predictMs: 1, metrics: {} };
  const events = [{ type: 'ended' as const, outcome, logs: '', acceptedAfterMs: 0 }];
  await runner.report({ id, attempt: job?.attempt ?? 0, events });
  return id;
}

describe('PATCH of a model', () => {
  it('changes what is given, takes away what is null and leaves the rest', async () => {
    await json('PATCH', '/v1/models/local/echo', {
      description: 'says it again',
      github_url: 'https://a.b/c',
    });
    const changed = await json('PATCH', '/v1/models/local/echo', {
      github_url: null,
      weights_url: 'https://a.b/w',
    });

    expect(changed).toMatchObject({
      status: 200,
      description: 'says it again',
      github_url: null,
      weights_url: 'https://a.b/w',
    });
    expect(changed.latest_version.id).toBe(first);
    expect(await json('GET', '/v1/models/local/echo')).toEqual(changed);
  });

  it('asks for a body', async () => {
    expect(await json('PATCH', '/v1/models/local/echo')).toMatchObject({ status: 400, code: 'invalid_json' });
  });

  it('and a push at the same time do not undo each other', async () => {
    const patches = Array.from({ length: 5 }, async (_, n) =>
      json('PATCH', '/v1/models/local/echo', n % 2 ? { description: 'd' } : { paper_url: 'https://a.b/p' }),
    );
    await Promise.all([...patches, addVersion(second)]);

    const model = await json('GET', '/v1/models/local/echo');
    expect(model).toMatchObject({ description: 'd', paper_url: 'https://a.b/p' });
    expect(model.latest_version.id).toBe(second);
  });

  it('is refused on what is not one’s own, and a private model of another is not there', async () => {
    const token = await test.addAccount('other');
    const stranger = { authorization: `Bearer ${token}` };
    await test.addModel({ name: 'shown', visibility: 'public' });

    const body = { description: 'mine now' };
    expect(await json('PATCH', '/v1/models/local/echo', body, stranger)).toMatchObject({ status: 404 });
    expect(await json('PATCH', '/v1/models/local/shown', body, stranger)).toMatchObject({
      status: 403,
      code: 'forbidden',
    });
    expect(await json('PATCH', '/v1/models/local/echo', { github_url: 'nonsense' })).toMatchObject({
      status: 422,
    });
  });
});

it('a readme is Markdown, and 404 before there is one', async () => {
  expect(await json('GET', '/v1/models/local/echo/readme')).toMatchObject({ status: 404 });
  await json('PATCH', '/v1/models/local/echo', { readme: '# Écho' });

  const response = await test.call('GET', '/v1/models/local/echo/readme');
  expect(response.headers.get('content-type')).toMatch(/^text\/markdown/);
  expect(await response.text()).toBe('# Écho');
  await json('PATCH', '/v1/models/local/echo', { readme: null });
  expect(await json('GET', '/v1/models/local/echo/readme')).toMatchObject({ status: 404 });
});

it('a version says what breaks callers of the one before it, and keeps to that when it is added again', async () => {
  const known = await test.models.getVersion('local/echo', first);
  if (!known) throw new Error('no first version');
  const narrower = { ...known, id: second, openapiSchema: schemaWith({ n: { type: 'integer' } }, ['n']) };
  await test.models.addVersion(narrower);
  await test.models.addVersion({ ...narrower, createdAt: known.createdAt + 1 });

  const { results } = await json('GET', '/v1/models/local/echo/versions');

  expect(results).toHaveLength(2);
  expect((await json('GET', '/v1/models/local/echo')).latest_version.breaking_changes).toEqual([
    'input `text` is gone',
    'input `n` is new and required',
  ]);
  expect(await json('GET', `/v1/models/local/echo/versions/${first}`)).not.toHaveProperty('breaking_changes');
});

describe('DELETE', () => {
  it('of a version moves the latest back and ends what waits for it, with a reason', async () => {
    await addVersion(second);
    const { id } = await json('POST', '/v1/models/local/echo/predictions', { input: {} });

    expect(await json('DELETE', `/v1/models/local/echo/versions/${second}`)).toEqual({ status: 202 });

    expect((await json('GET', '/v1/models/local/echo')).latest_version.id).toBe(first);
    expect(await json('GET', `/v1/predictions/${id}`)).toMatchObject({
      status: 'failed',
      code: 'version_deleted',
      cost: { micro_usd: 0 },
    });
    const onIt = { version: second, input: {} };
    expect(await json('POST', '/v1/predictions', onIt)).toMatchObject({ status: 404 });
    expect(await json('DELETE', `/v1/models/local/echo/versions/${second}`)).toMatchObject({ status: 404 });
  });

  it('of a model asks for its versions to go first, and then it is gone with its examples', async () => {
    const id = await succeeded();
    await json('POST', '/v1/models/local/echo/examples', { prediction: id });
    expect(await json('DELETE', '/v1/models/local/echo')).toMatchObject({ status: 409, code: 'conflict' });
    await json('DELETE', `/v1/models/local/echo/versions/${first}`);

    expect(await json('DELETE', '/v1/models/local/echo')).toEqual({ status: 204 });

    expect(await json('GET', '/v1/models/local/echo')).toMatchObject({ status: 404 });
    await test.addModel({ name: 'echo' });
    expect((await json('GET', '/v1/models/local/echo/examples')).results).toEqual([]);
  });

  it('is refused for what is public', async () => {
    await test.addModel({ name: 'shown', visibility: 'public' });

    for (const path of ['', `/versions/${first}`])
      expect(await json('DELETE', `/v1/models/local/shown${path}`)).toMatchObject({ status: 403 });
  });
});

describe('examples', () => {
  it('are added and removed by the owner, and the first is the default one', async () => {
    const ids = [await succeeded(), await succeeded()];
    for (const prediction of ids) {
      test.clock.now += 1;
      const added = await json('POST', '/v1/models/local/echo/examples', { prediction });
      expect(added.output).toBe('x');
    }

    const listed = await json('GET', '/v1/models/local/echo/examples');
    expect(listed.results.map(({ id }: { id: string }) => id)).toEqual(ids);
    expect((await json('GET', '/v1/models/local/echo')).default_example.id).toBe(ids[0]);
    expect(await json('DELETE', `/v1/models/local/echo/examples/${ids[0]}`)).toEqual({ status: 204 });
    expect((await json('GET', '/v1/models/local/echo')).default_example.id).toBe(ids[1]);
    expect(await json('DELETE', `/v1/models/local/echo/examples/${ids[0]}`)).toMatchObject({ status: 404 });
  });

  it('are predictions of one’s own on this model that succeeded', async () => {
    await test.addModel({ name: 'second' });
    const waits = await json('POST', '/v1/models/local/echo/predictions', { input: {} });
    const wanted = '/v1/models/local/echo/examples';

    expect(await json('POST', wanted, { prediction: waits.id })).toMatchObject({ status: 409 });
    expect(await json('POST', wanted, { prediction: await succeeded('second') })).toMatchObject({
      status: 409,
    });
    expect(await json('POST', wanted, { prediction: 'a'.repeat(26) })).toMatchObject({ status: 404 });
  });

  it('count as one run, however often they come and go', async () => {
    const ended: string[] = [];
    const id = await succeeded();
    await json('POST', '/v1/models/local/echo/examples', { prediction: id });
    await json('DELETE', `/v1/models/local/echo/examples/${id}`);
    const row = await test.table.get({ pk: `JOB#${id}`, sk: 'JOB' });
    if (row && isEndedJob(row)) ended.push(id);

    expect(ended).toEqual([]);
  });
});
