import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Pool, type PoolState, sharedPoolId } from '../../services/core/pool.ts';
import { openApi, type TestApi } from '../support/api.ts';

let test: TestApi;
beforeAll(async () => {
  test = await openApi();
  await test.addModel({ name: 'one' });
  await test.addModel({ name: 'two' });
});
afterAll(async () => test.close());

const poolId = (name: string) =>
  sharedPoolId({ model: `local/${name}`, version: 'a'.repeat(64), hardware: 'cpu' });

async function run(name: string): Promise<void> {
  test.clock.now += 1000;
  expect((await test.call('POST', '/v1/predictions', { version: `local/${name}`, input: {} })).status).toBe(
    201,
  );
}

// biome-ignore lint/suspicious/noExplicitAny: -- tests read what they expect from the answer
async function get(path: string, headers?: Record<string, string>): Promise<any> {
  return (await test.call('GET', path, undefined, headers)).json();
}

function stateOf(name: string): PoolState {
  const at = test.clock.now;
  const instance = { pool: poolId(name), startedAt: at - 5000, idleSince: null };
  return {
    pool: poolId(name),
    at,
    desired: 2,
    reason: '2 jobs wait while 1 instance starting',
    instances: [
      {
        ...instance,
        id: 'i-1',
        phase: 'ready',
        readyAt: at - 3000,
        running: 1,
        failure: null,
        setupLogs: 'loaded\n',
      },
      {
        ...instance,
        id: 'i-2',
        phase: 'setup',
        readyAt: null,
        running: 0,
        failure: null,
        setupLogs: '',
        detail: 'Its weights are being fetched.',
      },
    ],
    breaker: { until: at + 30_000, message: 'No module named torch.', setupLogs: 'Traceback\n' },
    setupSeconds: [],
  };
}

it('a pool that nobody has looked at yet has its queue and no reason', async () => {
  await run('one');
  await run('one');

  expect((await get('/v1/pools')).results).toEqual([
    {
      pool: poolId('one'),
      model: 'local/one',
      version: 'a'.repeat(64),
      hardware: 'cpu',
      queued: 2,
      running: 0,
      desired: null,
      reason: null,
      breaker: null,
      instances: [],
      updated_at: null,
    },
  ]);
});

it('a pool tells what its director reported: how many, why, and what each instance does', async () => {
  await run('two');
  const state = stateOf('two');
  await test.pools.putState(state);

  const [two, one] = (await get('/v1/pools')).results;

  expect([two.model, one.model]).toEqual(['local/two', 'local/one']);
  expect(two).toMatchObject({ queued: 1, desired: 2, reason: state.reason });
  expect(two.breaker.message).toBe('No module named torch.');
  expect(two.instances).toMatchObject([
    { id: 'i-1', phase: 'ready', running: 1, failure: null },
    { id: 'i-2', phase: 'setup', running: 0, detail: 'Its weights are being fetched.' },
  ]);
  expect(two.instances[0]).not.toHaveProperty('detail');
  expect(Date.parse(two.instances[0].since)).toBe(state.at - 3000);
  expect(Date.parse(two.instances[1].since)).toBe(state.at - 5000);
  expect(JSON.stringify(two)).not.toContain('Traceback');
});

it('setup logs are those of its instances, and of the failure that stopped it', async () => {
  const { results } = await get('/v1/models/local/two/setup-logs');

  expect(results).toMatchObject([
    { instance: 'i-1', phase: 'ready', logs: 'loaded\n' },
    { instance: 'i-2', phase: 'setup', logs: '' },
    { instance: null, phase: 'failed', logs: 'Traceback\n', failure: { message: 'No module named torch.' } },
  ]);
});

it('of a model without a pool there are no setup logs, and the answer says why', async () => {
  const response = await test.call('GET', '/v1/models/local/nothing/setup-logs');

  expect(response.status).toBe(404);
  expect(((await response.json()) as Pool & { detail: string }).detail).toContain('local/nothing');
});

it("another account sees nothing of them, though it runs one's public model", async () => {
  const stranger = { authorization: `Bearer ${await test.addAccount('stranger')}` };
  await test.addModel({ name: 'open', visibility: 'public' }, { id: 'b'.repeat(64) });
  const body = { version: 'local/open', input: {} };
  test.clock.now += 1000;
  expect((await test.call('POST', '/v1/predictions', body, stranger)).status).toBe(201);

  expect((await get('/v1/pools', stranger)).results).toEqual([]);
  expect((await get('/v1/pools')).results[0]).toMatchObject({ model: 'local/open', queued: 1 });
  for (const name of ['open', 'two']) {
    const logs = await test.call('GET', `/v1/models/local/${name}/setup-logs`, undefined, stranger);
    expect(logs.status).toBe(404);
  }
});

it('pools are told page by page, each once and only the own ones', async () => {
  const made = Array.from({ length: 205 }, (_, at) => `local/many-${at}`);
  for (const [at, model] of made.entries()) {
    test.clock.now += 1;
    const account = at % 2 === 0 ? 'local' : 'stranger';
    const about = { model, version: 'c'.repeat(64), hardware: 'cpu' };
    await test.pools.touch(
      { id: sharedPoolId(about), account, ...about, concurrency: 1, streams: false },
      test.clock.now,
    );
  }

  const first = await get('/v1/pools');
  const second = await get(first.next.replace(/^https?:\/\/[^/]+/, ''));

  const models = [...first.results, ...second.results].map(({ model }) => model);
  expect(first.results).toHaveLength(100);
  expect(second.next).toBeNull();
  expect(models.slice(0, 103)).toEqual(made.filter((_, at) => at % 2 === 0).toReversed());
  expect(new Set(models).size).toBe(models.length);
  expect((await test.call('GET', '/v1/pools?cursor=nonsense')).status).toBe(400);
});

it('a pool is forgotten a day after its last prediction', async () => {
  test.clock.now += 25 * 3600 * 1000;

  expect((await get('/v1/pools')).results).toEqual([]);
});
