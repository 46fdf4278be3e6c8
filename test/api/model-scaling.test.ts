import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sharedPoolId } from '../../services/core/pool.ts';
import { demandSchema, type PoolDemand } from '../../services/ports/fleet-protocol/port.ts';
import { openApi, type TestApi } from '../support/api.ts';

const first = 'a'.repeat(64);
const second = 'b'.repeat(64);
const path = '/v1/models/local/echo';
const office = { start: '0 8 * * 1-5', end: '0 18 * * 1-5', timezone: 'Europe/Berlin', min: 2 };

let test: TestApi;
beforeEach(async () => {
  test = await openApi();
  await test.addModel({ name: 'echo', hardware: 'gpu-t4' }, { id: first, concurrency: 3 });
});
afterEach(async () => test.close());

// biome-ignore lint/suspicious/noExplicitAny: -- tests read what they expect from the answer
async function json(method: string, to: string, body?: unknown, headers = {}): Promise<any> {
  const response = await test.call(method, to, body, headers);
  const text = await response.text();
  return { ...(text === '' ? {} : JSON.parse(text)), status: response.status };
}

async function demand(waitSeconds = 0, director?: string): Promise<readonly PoolDemand[]> {
  const protocol = test.api.dispatch.protocolFor({ role: 'director' });
  return (await protocol.demand({ waitSeconds, director })).pools;
}

function poolId(version: string, hardware = 'gpu-t4'): string {
  return sharedPoolId({ model: 'local/echo', version, hardware });
}

async function pushSecond(): Promise<void> {
  const known = await test.models.getVersion('local/echo', first);
  if (!known) throw new Error('no first version');
  await test.models.addVersion({ ...known, id: second, createdAt: known.createdAt + 1000 });
}

const reads = { scaling: { min: 0 } };

describe('scaling of a model', () => {
  it('is set, shown to its owner, replaced as a whole and taken away', async () => {
    expect(await json('GET', path)).toMatchObject({ scaling: null });

    const set = await json('PATCH', path, { scaling: { min: 1, max: 3, idle_seconds: 600 } });
    expect(set).toMatchObject({ status: 200, scaling: { min: 1, max: 3, idle_seconds: 600 } });
    expect((await json('GET', path)).scaling).toEqual({ min: 1, max: 3, idle_seconds: 600 });

    await json('PATCH', path, { scaling: { schedule: [office] } });
    expect((await json('GET', path)).scaling).toEqual({ schedule: [office] });
    await json('PATCH', path, { description: 'an echo' });
    expect((await json('GET', path)).scaling).toEqual({ schedule: [office] });
    await json('PATCH', path, { scaling: null });
    expect((await json('GET', path)).scaling).toBeNull();
  });

  it('is nobody else’s to see or to change', async () => {
    const stranger = { authorization: `Bearer ${await test.addAccount('stranger')}` };
    await test.addModel({ name: 'open', visibility: 'public' }, { id: second });
    await json('PATCH', '/v1/models/local/open', { scaling: { min: 1 } });

    expect(await json('GET', '/v1/models/local/open', undefined, stranger)).not.toHaveProperty('scaling');
    expect((await json('GET', '/v1/models', undefined, stranger)).results[0]).not.toHaveProperty('scaling');
    expect(await json('PATCH', '/v1/models/local/open', reads, stranger)).toMatchObject({ status: 403 });
    expect(await json('PATCH', path, reads, stranger)).toMatchObject({ status: 404 });
  });

  it.each([
    [{ min: -1 }, '- scaling.min:'],
    [{ max: 1e9 }, '- scaling.max:'],
    [{ min: 1e308 }, '- scaling.min:'],
    [{ min: 5, max: 2 }, '- scaling.min: must not be above max (2)'],
    [{ keep: 1 }, '- scaling:'],
    ['always', '- scaling:'],
    [
      { schedule: [{ ...office, start: '0 0 30 2 *' }] },
      '- scaling.schedule.0.start: "0 0 30 2 *" names a time that never comes',
    ],
    [
      { schedule: [{ ...office, timezone: 'Europe/Atlantis' }] },
      '- scaling.schedule.0.timezone: "Europe/Atlantis" is no time zone; write one as in Europe/Berlin or UTC',
    ],
  ])('is refused as %j', async (scaling, detail) => {
    expect(await json('PATCH', path, { scaling })).toMatchObject({
      status: 422,
      detail: expect.stringContaining(detail),
    });
    expect((await json('GET', path)).scaling).toBeNull();
  });

  it('goes with its model', async () => {
    await json('POST', '/v1/models', {
      owner: 'local',
      name: 'gone',
      visibility: 'private',
      hardware: 'cpu',
    });
    await json('PATCH', '/v1/models/local/gone', { scaling: { min: 1 } });
    expect(await json('DELETE', '/v1/models/local/gone')).toMatchObject({ status: 204 });

    await json('POST', '/v1/models', {
      owner: 'local',
      name: 'gone',
      visibility: 'private',
      hardware: 'cpu',
    });
    expect((await json('GET', '/v1/models/local/gone')).scaling).toBeNull();
  });
});

describe('what directors are told', () => {
  it('is of a pool with a minimum though it never had a job, at once, and every day anew', async () => {
    expect(await demand()).toEqual([]);

    const told = demand(60);
    await json('PATCH', path, { scaling: { min: 2 } });

    expect(await told).toMatchObject([
      {
        pool: { id: poolId(first), hardware: 'gpu-t4', concurrency: 3, scaling: { min: 2 } },
        queued: 0,
        running: 0,
      },
    ]);
    expect((await json('GET', '/v1/pools')).results).toMatchObject([{ pool: poolId(first) }]);
    test.clock.now += 25 * 3600 * 1000;
    expect((await json('GET', '/v1/pools')).results).toEqual([]);
    expect(await demand()).toHaveLength(1);
    expect((await json('GET', '/v1/pools')).results).toHaveLength(1);
  });

  it('is of a pool with a schedule, whose time may come', async () => {
    await json('PATCH', path, { scaling: { schedule: [office] } });

    expect(await demand()).toMatchObject([{ pool: { scaling: { schedule: [office] } } }]);
  });

  it('is nothing of a model with limits alone that nobody uses', async () => {
    await json('PATCH', path, { scaling: { max: 2, idle_seconds: 5 } });

    expect(await demand()).toEqual([]);
    await json('POST', `${path}/predictions`, { input: { text: 'x' } });
    expect(await demand()).toMatchObject([{ queued: 1, pool: { scaling: { max: 2, idle_seconds: 5 } } }]);
  });

  it('gives the minimum to the latest version, and the limits to all', async () => {
    await json('PATCH', path, { scaling: { min: 1, max: 2, schedule: [office] } });
    await json('POST', `${path}/predictions`, { input: { text: 'x' } });
    await demand();
    await pushSecond();
    await json('POST', `${path}/predictions`, { input: { text: 'x' } });
    // A push rings nowhere; a change of the settings does.
    await json('PATCH', path, { scaling: { min: 1, max: 3, schedule: [office] } });

    const told = new Map((await demand()).map(({ pool }) => [pool.id, pool.scaling]));

    expect(told.get(poolId(first))).toEqual({ max: 3 });
    expect(told.get(poolId(second))).toEqual({ min: 1, max: 3, schedule: [office] });
  });

  it('reaches a director that is elsewhere as it is', async () => {
    await json('PATCH', path, { scaling: { min: 1, schedule: [office] } });
    await json('POST', `${path}/warm`, {});
    const pools = await demand();

    const sent: unknown = JSON.parse(JSON.stringify({ pools }));
    expect(demandSchema.parse(sent)).toEqual({ pools });
    expect(pools[0]?.pool.scaling).toMatchObject({ min: 1, schedule: [office], warm: [{ instances: 1 }] });
  });

  it('follows the model to other hardware', async () => {
    await json('PATCH', path, { scaling: { min: 1 } });
    await demand();

    await json('PATCH', path, { hardware: 'gpu-l40s' });

    const told = new Map((await demand()).map(({ pool }) => [pool.id, pool.scaling]));
    expect(told.get(poolId(first, 'gpu-l40s'))).toEqual({ min: 1 });
    expect(told.get(poolId(first))).toEqual({});
  });

  it('holds what starts took before, for a director that begins anew', async () => {
    await json('PATCH', path, { scaling: { min: 1 } });
    const boots = [{ node: 60, image: 30, weights: 0, setup: 10 }];
    await test.pools.putState({
      pool: poolId(first),
      at: test.clock.now,
      desired: 0,
      reason: '',
      instances: [],
      breaker: null,
      setupSeconds: [100],
      boots,
    });

    const history = { setupSeconds: [100], boots };
    expect(await demand(0, 'first')).toMatchObject([{ history }]);
    await json('PATCH', path, { scaling: { min: 2 } });
    expect((await demand(60, 'first'))[0]?.history).toBeUndefined();
    // It asks so after a failure: the last answer may not have come.
    expect(await demand(0, 'first')).toMatchObject([{ history }]);
    expect(await demand(0, 'second')).toMatchObject([{ history }]);
    expect((await demand())[0]?.history).toBeUndefined();
  });
});

describe('a call to warm a model', () => {
  it('keeps instances for a while, says what that takes, and that nobody is billed', async () => {
    await demand();
    const told = demand(60);
    const warm = await json('POST', `${path}/warm`, { instances: 2, seconds: 600 });

    expect(warm).toMatchObject({
      status: 202,
      model: 'local/echo',
      version: first,
      instances: 2,
      seconds: 600,
      eta_seconds: null,
      // 225 micro-dollars a second.
      cost: { sku: 'gpu-t4', micro_usd_per_second: 225, max_micro_usd: 270_000, billed: false },
    });
    const until = test.clock.now + 600_000;
    expect(Date.parse(warm.until)).toBe(until);
    expect(await told).toMatchObject([{ pool: { scaling: { warm: [{ instances: 2, until }] } } }]);
    expect((await json('GET', path)).scaling).toBeNull();
  });

  it('is for one instance and five minutes where nothing is said', async () => {
    expect(await json('POST', `${path}/warm`, {})).toMatchObject({ instances: 1, seconds: 300 });
  });

  it('is over by itself', async () => {
    await json('POST', `${path}/warm`, { seconds: 60 });
    await demand();
    test.clock.now += 25 * 3600 * 1000;
    await json('PATCH', path, { scaling: null });

    expect(await demand()).toEqual([]);
  });

  it('is taken back by a DELETE, by its owner', async () => {
    await json('POST', `${path}/warm`, {});
    const stranger = { authorization: `Bearer ${await test.addAccount('stranger')}` };
    expect(await json('DELETE', `${path}/warm`, undefined, stranger)).toMatchObject({ status: 404 });
    expect(await demand()).toMatchObject([{ pool: { scaling: { warm: [{ instances: 1 }] } } }]);

    expect(await json('DELETE', `${path}/warm`)).toEqual({ status: 204 });
    expect(await json('DELETE', `${path}/warm`)).toEqual({ status: 204 });

    expect((await demand())[0]?.pool.scaling).toBeUndefined();
  });

  it('is extended by another, and never added up, also where many come at once', async () => {
    const calls = [60, 120, 120, 3600].map(async (seconds) => json('POST', `${path}/warm`, { seconds }));
    await Promise.all(calls);

    expect(await demand()).toMatchObject([
      { pool: { scaling: { warm: [{ instances: 1, until: test.clock.now + 3_600_000 }] } } },
    ]);
  });

  it('tells when they will be ready, by what starts took; of a new version by those of the one before', async () => {
    const state = { at: test.clock.now, desired: 0, reason: '', instances: [], breaker: null };
    await test.pools.putState({ ...state, pool: poolId(first), setupSeconds: [10, 20, 30] });

    expect((await json('POST', `${path}/warm`, {})).eta_seconds).toEqual({ p50: 20, p90: 28 });
    await pushSecond();
    expect(await json('POST', `${path}/warm`, {})).toMatchObject({
      version: second,
      eta_seconds: { p50: 20, p90: 28 },
    });
    expect(await json('POST', `${path}/predictions`, { input: { text: 'x' } })).toMatchObject({
      waiting: { phase: 'queued', eta_seconds: { p50: 20, p90: 28 } },
    });
  });

  it.each([
    [{ instances: 0 }, '- instances:'],
    [{ instances: 1001 }, '- instances:'],
    [{ instances: 1.5 }, '- instances:'],
    [{ seconds: 59 }, '- seconds:'],
    [{ seconds: 3601 }, '- seconds:'],
    [{ seconds: 1e308 }, '- seconds:'],
    [{ seconds: '300' }, '- seconds:'],
    [{ minutes: 5 }, '- body:'],
    [[], '- body:'],
  ])('is refused with %j', async (body, detail) => {
    expect(await json('POST', `${path}/warm`, body)).toMatchObject({
      status: 422,
      detail: expect.stringContaining(detail),
    });
    expect(await demand()).toEqual([]);
  });

  it('keeps to the limit of the model', async () => {
    await json('PATCH', path, { scaling: { max: 2 } });

    expect(await json('POST', `${path}/warm`, { instances: 3 })).toMatchObject({
      status: 422,
      detail: expect.stringContaining('local/echo has at most 2'),
    });
  });

  it('is its owner’s alone, and of a model that has a version', async () => {
    const stranger = { authorization: `Bearer ${await test.addAccount('stranger')}` };
    await test.addModel({ name: 'open', visibility: 'public' }, { id: second });
    await json('POST', '/v1/models', {
      owner: 'local',
      name: 'empty',
      visibility: 'private',
      hardware: 'cpu',
    });

    expect(await json('POST', `${path}/warm`, {}, stranger)).toMatchObject({ status: 404 });
    expect(await json('POST', '/v1/models/local/open/warm', {}, stranger)).toMatchObject({ status: 403 });
    expect(await json('POST', '/v1/models/local/empty/warm', {})).toMatchObject({
      status: 404,
      detail: expect.stringContaining('has no version yet'),
    });
    expect(await json('POST', `${path}/warm`)).toMatchObject({ status: 400, code: 'invalid_json' });
  });
});
