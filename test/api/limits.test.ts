import { afterEach, describe, expect, it } from 'vitest';
import { type ApiLimits, CappedCount } from '../../services/api/limits.ts';
import { openApi, type TestApi } from '../support/api.ts';

let test: TestApi;
afterEach(async () => test?.close());

async function open(limits: ApiLimits): Promise<void> {
  test = await openApi(undefined, { limits });
  await test.addModel({ name: 'echo' });
}

async function create(headers = {}) {
  const response = await test.call('POST', '/v1/models/local/echo/predictions', { input: {} }, headers);
  const body = (await response.json()) as Record<string, string>;
  return { status: response.status, headers: response.headers, body };
}

describe('rates of a token', () => {
  it('are told with each answer, and a refusal says when to come back', async () => {
    await open({ predictionsPerMinute: 2, requestsPerMinute: 60 });

    const first = await create();
    expect([
      first.status,
      first.headers.get('ratelimit-limit'),
      first.headers.get('ratelimit-remaining'),
    ]).toEqual([201, '2', '1']);
    await create();
    const refused = await create();

    expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    expect(refused.headers.get('retry-after')).toBe('30');
    expect(refused.headers.get('ratelimit-reset')).toBe('60');
    expect(refused.body.detail).toContain('resets in 60 s');
    test.clock.now += 30_000;
    expect((await create()).status).toBe(201);
  });

  it('are each token’s own, and apart for predictions and the rest', async () => {
    await open({ predictionsPerMinute: 1, requestsPerMinute: 2 });
    await create();
    expect((await create()).status).toBe(429);

    expect((await test.call('GET', '/v1/account')).status).toBe(200);
    expect((await test.call('GET', '/v1/account')).status).toBe(200);
    expect((await test.call('GET', '/v1/account')).status).toBe(429);
    const other = { authorization: `Bearer ${await test.addAccount('other')}` };
    expect((await test.call('GET', '/v1/account', undefined, other)).status).toBe(200);
  });

  it('are off unless set', async () => {
    await open({});

    expect((await create()).headers.get('ratelimit-limit')).toBeNull();
  });
});

describe('predictions at a time', () => {
  it('are limited for an account, even all at once, until one ends', async () => {
    await open({ concurrentPerAccount: 3 });

    const all = await Promise.all(Array.from({ length: 8 }, async () => create()));
    const made = all.filter(({ status }) => status === 201);
    expect(made).toHaveLength(3);
    const refused = all.find(({ status }) => status !== 201);
    expect(refused).toMatchObject({ status: 429, body: { code: 'concurrency_limited' } });
    expect(refused?.headers.get('retry-after')).toBe('1');
    await test.call('POST', `/v1/predictions/${made[0]?.body.id}/cancel`);
    await test.call('POST', `/v1/predictions/${made[0]?.body.id}/cancel`);

    expect((await create()).status).toBe(201);
    expect((await create()).status).toBe(429);
  });

  it('do not count a request that made none', async () => {
    await open({ concurrentPerAccount: 2 });
    const key = { 'idempotency-key': 'k' };
    await Promise.all([create(key), create(key), create(key)]);

    expect((await create()).status).toBe(201);
  });
});

describe('the queue of a pool', () => {
  it('is bounded, and takes more when there is room again', async () => {
    await open({ queuedPerPool: 2 });
    const first = await create();
    await create();

    const refused = await create();
    expect(refused).toMatchObject({ status: 429, body: { code: 'queue_full' } });
    expect(refused.headers.get('retry-after')).toBe('5');
    await test.call('POST', `/v1/predictions/${first.body.id}/cancel`);
    test.clock.now += 1000;

    expect((await create()).status).toBe(201);
    expect((await create()).status).toBe(429);
  });

  it('is counted only when it may be full, and lets no more in than there is room for', async () => {
    let there = 4;
    let counts = 0;
    let now = 0;
    const count = async () => {
      counts += 1;
      return there;
    };
    const capped = new CappedCount(10, count, () => now);

    for (let at = 0; at < 6; at += 1) {
      expect(await capped.admit('pool')).toBe(true);
      there += 1;
    }
    expect(counts).toBe(1);
    now += 1000;
    there = 9;
    const three = await Promise.all([capped.admit('pool'), capped.admit('pool'), capped.admit('pool')]);

    expect(three.filter(Boolean)).toHaveLength(1);
    expect(counts).toBe(2);
  });
});
