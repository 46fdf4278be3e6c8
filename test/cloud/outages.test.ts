import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { Usage } from '../../services/data/usage.ts';
import { startCloud, type TestCloud } from '../support/cloud.ts';
import { callsOf } from '../support/local-server.ts';
import { outputs, readEvents } from '../support/sse.ts';

const path = '/models/local/noop/predictions';
/** A lease that nobody renews, the look for it, and the run after it. */
const settleMs = 120_000;

let cloud: TestCloud;
afterEach(async () => cloud?.stop());

it('without Valkey predictions run, and a wait looks at the table every two seconds', async () => {
  cloud = await startCloud();
  await cloud.push('test/models/noop');
  await cloud.json('POST', path, { input: {} }, { prefer: 'wait' });
  await cloud.valkey.stop();

  for (let round = 0; round < 3; round += 1) {
    const text = randomUUID();
    const ended = await cloud.json('POST', path, { input: { text } }, { prefer: 'wait' });
    expect(ended).toMatchObject({ status: 'succeeded', output: text });
  }
  await cloud.valkey.start();
  expect((await cloud.json('POST', path, { input: {} }, { prefer: 'wait' })).status).toBe('succeeded');
});

it('an api killed under load loses no prediction, bills none twice and leaves none stuck', {
  timeout: 300_000,
}, async () => {
  cloud = await startCloud();
  for (const name of ['noop', 'counter']) await cloud.push(`test/models/${name}`);
  const accepted = new Map<string, string>();
  const stopping = new AbortController();
  const client = async () => {
    while (!stopping.signal.aborted) {
      const text = randomUUID();
      const response = await cloud.call('POST', path, { input: { text } }).catch(() => undefined);
      if (response?.status !== 201) continue;
      const { id } = (await response.json()) as { id: string };
      accepted.set(id, text);
    }
  };
  const load = [client(), client(), client()];
  for (let kill = 0; kill < 4; kill += 1) {
    await pause(700);
    await cloud.apis[kill]?.kill();
    await cloud.startApi();
  }
  stopping.abort();
  await Promise.all(load);

  const ended = new Map<string, { status: string; output: string; cost: { micro_usd: number } }>();
  await expect
    .poll(
      async () => {
        for (const id of accepted.keys()) {
          const prediction = ended.has(id) ? undefined : await cloud.json('GET', `/predictions/${id}`);
          if (prediction?.completed_at) ended.set(id, prediction);
        }
        return accepted.size - ended.size;
      },
      { timeout: settleMs, interval: 500 },
    )
    .toBe(0);
  console.log(`${accepted.size} predictions over 4 kills of an api`);
  expect(accepted.size).toBeGreaterThan(4);
  const wrong = [...accepted].filter(([id, text]) => ended.get(id)?.output !== text);
  expect(wrong).toEqual([]);
  await expect
    .poll(async () => (await billed(cloud)).filter(({ id }) => accepted.has(id)).length, { timeout: 60_000 })
    .toBe(accepted.size);
  const records = await billed(cloud);
  expect(new Set(records.map(({ id }) => id)).size).toBe(records.length);
  for (const { id, costMicroUsd } of records.filter((one) => ended.has(one.id)))
    expect(costMicroUsd).toBe(ended.get(id)?.cost.micro_usd);
});

it('an api that is told to leave ends its waits and streams so that nobody notices', async () => {
  cloud = await startCloud({ env: { MIMEO_DRAIN_SECONDS: '4' } });
  for (const name of ['noop', 'counter']) await cloud.push(`test/models/${name}`);
  const [leaving, other] = cloud.apis;
  if (!leaving || !other) throw new Error('Two apis were asked for');
  const on = callsOf({ url: leaving.url, token: cloud.token });
  await cloud.json('POST', path, { input: {} }, { prefer: 'wait' });
  const input = { n: 80, delay: 0.1 };
  const created = await on.json('POST', '/models/local/counter/predictions', { input });
  const waiting = on.json('POST', '/models/local/counter/predictions', { input }, { prefer: 'wait=60' });
  const { pathname, search } = new URL(created.urls.stream);
  const seen: string[] = [];
  let lastEventId: string | undefined;
  const follow = async (url: string) => {
    for await (const event of readEvents(`${url}${pathname}${search}`, { lastEventId })) {
      lastEventId = event.id;
      seen.push(...outputs([event]));
    }
  };
  const following = follow(leaving.url);
  await expect.poll(() => seen.length, { timeout: 30_000 }).toBeGreaterThan(3);
  const stopped = leaving.stop();

  await expect
    .poll(async () => (await fetch(`${leaving.url}/readyz`).catch(() => undefined))?.status)
    .not.toBe(200);
  await following;
  expect(await waiting).toMatchObject({ status: 'starting' });
  expect(await stopped).toBe(0);
  cloud.balance([other]);
  expect(seen.length).toBeLessThan(input.n);
  await follow(other.url);
  expect(seen).toEqual(Array.from({ length: input.n }, (_, at) => String(at)));
});

async function billed({ table }: TestCloud) {
  const page = await new Usage(table).list('local', Date.now(), { limit: 1000 });
  return page.items;
}
