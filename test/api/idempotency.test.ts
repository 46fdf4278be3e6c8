import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PredictionBody } from '../../services/api/schemas.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import { openApi, type TestApi } from '../support/api.ts';

const path = '/v1/models/local/echo/predictions';
const key = { 'idempotency-key': 'order-1' };

let test: TestApi;
beforeEach(async () => {
  test = await openApi();
  await test.addModel({ name: 'echo' });
});
afterEach(async () => test.close());

async function create(body: unknown, headers: Record<string, string> = key, to = path) {
  const response = await test.call('POST', to, body, headers);
  return { status: response.status, body: (await response.json()) as PredictionBody & { code: string } };
}

async function countPredictions(): Promise<number> {
  const { results } = (await (await test.call('GET', '/v1/predictions')).json()) as { results: unknown[] };
  return results.length;
}

describe('Idempotency-Key', () => {
  it('makes one prediction of the same request, sent twice or at once', async () => {
    const both = await Promise.all([create({ input: { text: 'a' } }), create({ input: { text: 'a' } })]);
    const later = await create({ input: { text: 'a' } });

    expect(new Set([...both, later].map(({ body }) => body.id)).size).toBe(1);
    expect([...both, later].map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(later.body.id).toMatch(/^[a-z2-7]{26}$/);
    expect(await countPredictions()).toBe(1);
  });

  it('answers a second request that waits with the end of the first', async () => {
    const { body } = await create({ input: { text: 'a' } });
    const again = create({ input: { text: 'a' } }, { ...key, prefer: 'wait=5' });
    const pool = sharedPoolId({ model: 'local/echo', version: body.version, hardware: 'cpu' });
    const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
    const job = await runner.lease({ instance: 'instance', waitSeconds: 0 });
    const outcome = { status: 'succeeded' as const, output: 'done', predictMs: 1, metrics: {} };
    const events = [{ type: 'ended' as const, outcome, logs: '', acceptedAfterMs: 0 }];
    await runner.report({ id: body.id, attempt: job?.attempt ?? 0, events });

    expect((await again).body).toMatchObject({ id: body.id, status: 'succeeded', output: 'done' });
  });

  it('refuses another body, and another path, under the same key', async () => {
    await test.addModel({ name: 'other' });
    await create({ input: { text: 'a' } });

    for (const other of [
      await create({ input: { text: 'b' } }),
      await create({ input: { text: 'a' } }, key, '/v1/models/local/other/predictions'),
    ])
      expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
    expect(await countPredictions()).toBe(1);
  });

  it('is each account’s own, and does not mind the order of members', async () => {
    const token = await test.addAccount('other');
    await test.addModel({ name: 'open', visibility: 'public' });
    const open = '/v1/predictions';
    const mine = await create({ version: 'local/open', input: { text: 'a' } }, key, open);
    const reordered = await create({ input: { text: 'a' }, version: 'local/open' }, key, open);
    const stranger = { ...key, authorization: `Bearer ${token}` };
    const theirs = await create({ version: 'local/open', input: { text: 'a' } }, stranger, open);

    expect(reordered.body.id).toBe(mine.body.id);
    expect(theirs.body.id).not.toBe(mine.body.id);
  });

  it.each(['', 'ä', 'x'.repeat(256)])('that is no key (%j) is refused', async (bad) => {
    const refused = await create({ input: {} }, { 'idempotency-key': bad });

    expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });
});

describe('filters of the list', () => {
  async function listed(query: string): Promise<string[]> {
    const ids: string[] = [];
    let next: string | null = `/v1/predictions?${query}`;
    while (next !== null) {
      const response = await test.call('GET', next.replace('http://127.0.0.1:1', ''));
      expect(response.status).toBe(200);
      const page = (await response.json()) as { results: PredictionBody[]; next: string | null };
      ids.push(...page.results.map(({ id }) => id));
      next = page.next;
    }
    return ids;
  }

  it('give by status, model and source what fits, over all pages', async () => {
    await test.addModel({ name: 'rare' });
    const rare: string[] = [];
    const canceled: string[] = [];
    for (let at = 0; at < 230; at += 1) {
      test.clock.now += 1;
      const isRare = at % 100 === 0;
      const { body } = await create({ input: {} }, {}, isRare ? '/v1/models/local/rare/predictions' : path);
      if (isRare) rare.unshift(body.id);
      if (at % 50 !== 1) continue;
      canceled.unshift(body.id);
      await test.call('POST', `/v1/predictions/${body.id}/cancel`);
    }

    expect(await listed('model=local/rare')).toEqual(rare);
    expect(await listed('status=canceled')).toEqual(canceled);
    expect(await listed('status=canceled&model=local/rare')).toEqual([]);
    expect(await listed('source=api')).toHaveLength(230);
    expect(await listed('source=web')).toEqual([]);
  });

  it('fill a page as far as there is something to fill it with', async () => {
    for (let at = 0; at < 303; at += 1) {
      test.clock.now += 1;
      const { body } = await create({ input: {} }, {});
      if (at % 3 === 0) await test.call('POST', `/v1/predictions/${body.id}/cancel`);
    }

    const response = await test.call('GET', '/v1/predictions?status=canceled');
    const page = (await response.json()) as { results: PredictionBody[]; next: string | null };

    expect(page.results).toHaveLength(100);
    expect(await listed('status=canceled')).toHaveLength(101);
  });

  it.each(['status=done', 'source=cli', 'model=nothing', 'created_after=yesterday'])(
    'refuse %s',
    async (query) => {
      expect((await test.call('GET', `/v1/predictions?${query}`)).status).toBe(400);
    },
  );
});
