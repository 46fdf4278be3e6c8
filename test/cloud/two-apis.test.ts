import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiProcess, startCloud, type TestCloud } from '../support/cloud.ts';
import { callsOf } from '../support/local-server.ts';
import { outputs, readEvents } from '../support/sse.ts';

/** Two seconds of tokens. */
const slow = { n: 20, delay: 0.1 };

let cloud: TestCloud;
let a: ApiProcess;
let b: ApiProcess;

beforeAll(async () => {
  cloud = await startCloud();
  for (const name of ['noop', 'counter', 'sleeper', 'diary']) await cloud.push(`test/models/${name}`);
  const [first, second] = cloud.apis;
  if (!first || !second) throw new Error('Two apis were asked for');
  a = first;
  b = second;
});
afterAll(async () => cloud?.stop());

/** Calls that go to one api only. */
const on = (api: ApiProcess, token = cloud.token) => callsOf({ url: api.url, token });

/** The same stream by another api: its signature is good everywhere. */
function streamOn(api: ApiProcess, stream: string): string {
  const { pathname, search } = new URL(stream);
  return `${api.url}${pathname}${search}`;
}

/** Everybody else, the fleet above all, speaks to one api only. */
async function fleetOn(api: ApiProcess, work: () => Promise<void>): Promise<void> {
  cloud.balance([api]);
  try {
    await work();
  } finally {
    cloud.balance(cloud.apis);
  }
}

describe('two api processes are one platform', () => {
  it('a wait on one is answered when the job ends by the other', async () => {
    await fleetOn(b, async () => {
      const path = '/models/local/noop/predictions';
      // What polls are open on the other one end within their time.
      for (let round = 0; round < 3; round += 1) {
        const text = randomUUID();
        const ended = await on(a).json('POST', path, { input: { text } }, { prefer: 'wait' });
        expect(ended).toMatchObject({ status: 'succeeded', output: text });
      }
    });
  });

  it('a stream goes on at the other where a reader comes back, with no token lost or repeated', async () => {
    const created = await on(a).json('POST', '/models/local/counter/predictions', { input: slow });
    const seen: string[] = [];
    let lastEventId: string | undefined;
    let isDone = false;
    for (let turn = 0; !isDone; turn += 1) {
      const drop = new AbortController();
      const url = streamOn(turn % 2 === 0 ? a : b, created.urls.stream);
      let read = 0;
      try {
        for await (const event of readEvents(url, { lastEventId, signal: drop.signal })) {
          lastEventId = event.id;
          isDone = event.event === 'done';
          seen.push(...outputs([event]));
          if (event.event === 'output') read += 1;
          if (read === 4) drop.abort();
        }
      } catch (error) {
        if (!drop.signal.aborted) throw error;
      }
    }

    expect(seen).toEqual(Array.from({ length: slow.n }, (_, at) => String(at)));
  });

  it('a stream has every line of the log once, whichever api the runner told', async () => {
    const created = await on(a).json('POST', '/models/local/counter/predictions', { input: slow });
    const events = await Array.fromAsync(readEvents(streamOn(b, created.urls.stream)));
    const logs = events.filter(({ event }) => event === 'logs').map(({ data }) => data);

    expect(logs.join('')).toBe((await on(b).endOf(created.id)).logs);
  });

  it('a cancel at one stops what runs by the other within a second', async () => {
    const { id } = await on(b).json('POST', '/models/local/sleeper/predictions', { input: { seconds: 60 } });
    await expect
      .poll(async () => (await on(b).json('GET', `/predictions/${id}`)).status, { timeout: 30_000 })
      .toBe('processing');
    await fleetOn(b, async () => {
      await on(a).json('POST', `/predictions/${id}/cancel`);
      const path = '/models/local/sleeper/predictions';
      // Its instance is free again, so nothing ran on.
      const next = await on(b).json('POST', path, { input: { seconds: 0 } }, { prefer: 'wait' });
      expect(next.status).toBe('succeeded');
    });
    expect(await on(b).json('GET', `/predictions/${id}`)).toMatchObject({ status: 'canceled' });
  });

  it('one idempotency key makes one prediction, sent to both at once', async () => {
    for (let round = 0; round < 10; round += 1) {
      const headers = { 'idempotency-key': randomUUID(), prefer: 'wait' };
      const send = async (api: ApiProcess, text: string) =>
        on(api).call('POST', '/models/local/noop/predictions', { input: { text } }, headers);
      const made = await Promise.all([send(a, 'same'), send(b, 'same')]);
      const bodies = (await Promise.all(made.map((one) => one.json()))) as { id: string; output: string }[];

      expect(bodies.map(({ output }) => output)).toEqual(['same', 'same']);
      expect(new Set(bodies.map(({ id }) => id)).size).toBe(1);
      expect((await send(b, 'other')).status).toBe(422);
    }
  });

  it('one hundred predictions made on both at once all end, each with its own output', {
    timeout: 240_000,
  }, async () => {
    const texts = Array.from({ length: 100 }, () => randomUUID());
    const beganAt = performance.now();
    const made = await Promise.all(
      texts.map(async (text, at) =>
        on(at % 2 === 0 ? a : b).json(
          'POST',
          '/models/local/noop/predictions',
          { input: { text } },
          { prefer: 'wait=60' },
        ),
      ),
    );
    // Where the wait was too short, the prediction goes on.
    const ended = await Promise.all(made.map(async ({ id }) => on(b).endOf(id)));
    console.log(`100 predictions on two apis: ${Math.round(performance.now() - beganAt)} ms`);

    expect(ended.map(({ output }) => output)).toEqual(texts);
    expect(new Set(made.map(({ id }) => id)).size).toBe(100);
  });

  it('a rate and a concurrency that are limited are counted on both together', async () => {
    const limited = { MIMEO_RATE_REQUESTS: '5', MIMEO_MAX_CONCURRENT_PER_ACCOUNT: '2' };
    const [one, two] = [await cloud.startApi(limited), await cloud.startApi(limited)];
    cloud.balance([a, b]);
    const token = await cloud.addToken('busy');
    const asked = [one, two, one, two, one, two, one];
    const statuses: number[] = [];
    for (const api of asked) statuses.push((await on(api, token).call('GET', '/account')).status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(5);

    const create = async (api: ApiProcess) =>
      on(api).call('POST', '/models/local/sleeper/predictions', { input: { seconds: 60 } });
    const made = [await create(one), await create(two), await create(one)];
    expect(made.map(({ status }) => status)).toEqual([201, 201, 429]);
    const [first, second] = (await Promise.all(made.slice(0, 2).map((each) => each.json()))) as {
      id: string;
    }[];
    await on(two).json('POST', `/predictions/${first?.id}/cancel`);
    const another = await create(one);
    expect(another.status).toBe(201);
    for (const { id } of [second, (await another.json()) as { id: string }].filter(
      (one) => one !== undefined,
    ))
      await on(a).json('POST', `/predictions/${id}/cancel`);
  });

  it('a token that was revoked at the table opens neither within 30 s', { timeout: 90_000 }, async () => {
    const token = await cloud.addToken('guest');
    for (const api of [a, b]) expect((await on(api, token).call('GET', '/account')).status).toBe(200);
    await cloud.revoke(token);
    const revokedAt = performance.now();

    for (const api of [a, b])
      await expect
        .poll(async () => (await on(api, token).call('GET', '/account')).status, {
          timeout: 45_000,
          interval: 1000,
        })
        .toBe(401);
    expect(performance.now() - revokedAt).toBeLessThan(32_000);
  });
});
