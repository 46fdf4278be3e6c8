import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openLedger } from '../support/ledger.ts';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { allEvents, type EventSourceMessage, outputs, readEvents } from '../support/sse.ts';

/** One instance at a time: what waits, waits behind what runs. */
const env = { MIMEO_MAX_INSTANCES: '1' };
const numbers = (n: number) => Array.from({ length: n }, (_, index) => String(index));

let home: TestHome;
let server: LocalServer;
beforeAll(async () => {
  home = await newHome();
  server = await home.start(env);
  for (const name of ['counter', 'sleeper', 'diary']) await server.push(`test/models/${name}`);
});
afterAll(async () => home.remove());

async function create(name: string, input: object, headers?: Record<string, string>) {
  return await server.json('POST', '/predictions', { version: `local/${name}`, input }, headers);
}

async function get(id: string) {
  return await server.json('GET', `/predictions/${id}`);
}

async function cancel(id: string) {
  return await server.json('POST', `/predictions/${id}/cancel`);
}

/** Waits until a model has printed something. */
async function speaks(id: string): Promise<void> {
  await vi.waitFor(async () => expect((await get(id)).logs).toMatch(/./), { timeout: 30_000, interval: 20 });
}

/** Reads events until `enough`, and drops the connection. */
async function readUntil(
  url: string,
  lastEventId: string | undefined,
  enough: (events: readonly EventSourceMessage[]) => boolean,
): Promise<EventSourceMessage[]> {
  const drop = new AbortController();
  const events: EventSourceMessage[] = [];
  for await (const event of readEvents(url, { lastEventId, signal: drop.signal })) {
    events.push(event);
    if (enough(events)) break;
  }
  drop.abort();
  return events;
}

describe('a stream', () => {
  it('brings each token while the model makes the next', async () => {
    const { id, urls } = await create('counter', { n: 20, delay: 0.1 });
    const lengths: number[] = [];
    for await (const { event } of readEvents(urls.stream)) {
      if (event === 'output') lengths.push((await get(id)).output.length);
    }

    // What the API had of the output when the reader got each token: never all of it before the end.
    expect(lengths).toHaveLength(20);
    expect(lengths[0]).toBeLessThan(5);
    expect(lengths.indexOf(20)).toBeGreaterThan(15);
  });

  it('whose connection is dropped again and again loses, repeats and reorders nothing', async () => {
    const { urls } = await create('counter', { n: 40, delay: 0.02 });
    const events: EventSourceMessage[] = [];
    while (events.at(-1)?.event !== 'done') {
      events.push(...(await readUntil(urls.stream, events.at(-1)?.id, (got) => got.length >= 7)));
    }

    expect(outputs(events)).toEqual(numbers(40));
    const logs = events.filter(({ event }) => event === 'logs').map(({ data }) => data);
    expect(logs.join('')).toBe(
      numbers(40)
        .map((number) => `counting ${number}\n`)
        .join(''),
    );
  });

  it('resumes after any of its events, also when the prediction has ended', async () => {
    const { id, urls } = await create('counter', { n: 5, delay: 0.01 });
    const whole = await allEvents(urls.stream);
    await server.endOf(id);

    expect(outputs(whole)).toEqual(numbers(5));
    expect(await allEvents(urls.stream)).toEqual(whole);
    for (const [place, { id: lastEventId }] of whole.slice(0, -1).entries()) {
      expect(await allEvents(urls.stream, lastEventId)).toEqual(whole.slice(place + 1));
    }
  });

  it('starts from the beginning where the last event is one that it never sent', async () => {
    const { urls } = await create('counter', { n: 3, delay: 0 });
    const whole = await allEvents(urls.stream);

    for (const made of ['x', '1', '1.1.1', '9'.repeat(50), '-1.0', '<script>']) {
      expect(outputs(await allEvents(urls.stream, made))).toEqual(outputs(whole));
    }
  });

  it('serves many readers, early and late, the same', async () => {
    const { urls } = await create('counter', { n: 20, delay: 0.03 });
    const early = Array.from({ length: 5 }, async () => outputs(await allEvents(urls.stream)));
    await readUntil(urls.stream, undefined, (events) => outputs(events).length === 10);
    const late = Array.from({ length: 5 }, async () => outputs(await allEvents(urls.stream)));

    for (const read of await Promise.all([...early, ...late])) expect(read).toEqual(numbers(20));
  });

  it('of a canceled prediction ends with the reason', async () => {
    const { id, urls } = await create('counter', { n: 1000, delay: 0.02 });
    const reading = allEvents(urls.stream);
    await readUntil(urls.stream, undefined, (events) => outputs(events).length === 3);
    await cancel(id);

    const events = await reading;
    expect(events.at(-1)).toMatchObject({ event: 'done', data: '{"reason":"canceled"}' });
    expect(outputs(events)).toEqual(numbers(outputs(events).length));
    expect(outputs(events).length).toBeLessThan(1000);
  });
});

describe('a cancel', () => {
  it('of a running model is acknowledged at once, stops the meter, and stops the model', async () => {
    const { id } = await create('sleeper', { seconds: 60 });
    await speaks(id);
    const askedAt = performance.now();

    const acknowledged = await cancel(id);

    expect(performance.now() - askedAt).toBeLessThan(1000);
    expect(acknowledged).toMatchObject({ status: 'canceled', code: 'canceled', fault: 'user', error: null });
    const ranMs = Date.parse(acknowledged.completed_at) - Date.parse(acknowledged.started_at);
    expect(acknowledged.cost.billed_seconds * 1000).toBeLessThanOrEqual(ranMs);
    expect(acknowledged.cost.billed_seconds).toBeGreaterThan(0);
    // There is one instance: the next prediction runs only when the model has let go of this one.
    const next = await create('sleeper', { seconds: 0 });
    expect(await server.endOf(next.id)).toMatchObject({ status: 'succeeded' });
    expect(performance.now() - askedAt).toBeLessThan(10_000);
    expect((await get(id)).cost).toEqual(acknowledged.cost);
    expect((await get(id)).logs).toContain('s left');
  });

  it('of a waiting prediction costs nothing, and it never runs', async () => {
    const diary = join(home.path, 'diary');
    const running = await create('sleeper', { seconds: 60 });
    await speaks(running.id);
    const waiting = await create('diary', { file: diary, line: 'canceled' });
    const next = await create('diary', { file: diary, line: 'next' });

    const acknowledged = await cancel(waiting.id);
    await cancel(running.id);

    expect(acknowledged).toMatchObject({
      status: 'canceled',
      code: 'aborted',
      started_at: null,
      cost: { billed_seconds: 0, micro_usd: 0 },
    });
    expect((await server.endOf(next.id)).status).toBe('succeeded');
    expect(await readFile(diary, 'utf8')).toBe('next\n');
    expect(await get(waiting.id)).toEqual(acknowledged);
  });

  it('of what has ended changes nothing', async () => {
    const ended = await create('diary', { file: '/dev/null' }, { prefer: 'wait' });

    expect(await cancel(ended.id)).toEqual(ended);
  });

  it('comes by itself after Cancel-After, whether the prediction runs or waits', async () => {
    const running = await create('sleeper', { seconds: 60 }, { 'cancel-after': '6s' });
    const waiting = await create('sleeper', { seconds: 60 }, { 'cancel-after': '5' });

    const [ran, waited] = await Promise.all([server.endOf(running.id), server.endOf(waiting.id)]);

    expect(ran).toMatchObject({ status: 'canceled', code: 'deadline_exceeded' });
    expect(waited).toMatchObject({ status: 'canceled', code: 'aborted', cost: { micro_usd: 0 } });
    for (const [prediction, seconds] of [
      [ran, 6],
      [waited, 5],
    ]) {
      const life = (Date.parse(prediction.completed_at) - Date.parse(prediction.created_at)) / 1000;
      expect(life).toBeGreaterThanOrEqual(seconds);
      expect(life).toBeLessThan(seconds + 3);
    }
  });
});

describe('waiting', () => {
  it('says what a prediction waits for, and its place', async () => {
    const running = await create('sleeper', { seconds: 60 });
    await speaks(running.id);
    const first = await create('sleeper', { seconds: 0 });
    const second = await create('sleeper', { seconds: 0 });

    expect((await get(first.id)).waiting).toMatchObject({ phase: 'queued', position: 1 });
    expect((await get(second.id)).waiting).toMatchObject({ phase: 'queued', position: 2 });
    await cancel(running.id);
    expect((await server.endOf(second.id)).waiting).toBeUndefined();
  });
});

describe('a machine that is full', () => {
  it('runs what came first first, also where that takes a busy instance from another model', async () => {
    const earlier = await create('sleeper', { seconds: 1 });
    await speaks(earlier.id);
    const other = await create('counter', {});
    const later = [];
    for (let count = 0; count < 4; count++) later.push(await create('sleeper', { seconds: 1 }));

    await server.endOf(other.id);

    expect((await get(earlier.id)).status).toBe('succeeded');
    const statuses = await Promise.all(later.map(async ({ id }) => (await get(id)).status));
    expect(statuses).toContain('starting');
    await Promise.all(later.map(async ({ id }) => cancel(id)));
  });
});

describe('after a restart', () => {
  it('streams of ended predictions are read and resumed', async () => {
    const { id, urls } = await create('counter', { n: 6, delay: 0.01 });
    const whole = await allEvents(urls.stream);
    const third = whole.find(({ event, data }) => event === 'output' && data === '2');
    await server.endOf(id);

    await server.stop();
    server = await home.start(env);

    const { urls: renewed } = await get(id);
    const again = await allEvents(renewed.stream);
    expect(outputs(again)).toEqual(numbers(6));
    expect(
      again
        .filter(({ event }) => event === 'logs')
        .map(({ data }) => data)
        .join(''),
    ).toContain('counting 5');
    expect(outputs(await allEvents(renewed.stream, third?.id))).toEqual(['3', '4', '5']);
    expect(again.at(-1)?.event).toBe('done');
  });

  it('the ledger has what every prediction showed, once', async () => {
    const shown = (await server.json('GET', '/predictions')).results;
    await server.stop();
    const ledger = openLedger(home.path);
    try {
      await vi.waitFor(async () => expect(await ledger.records()).toHaveLength(shown.length), 10_000);
      const records = new Map((await ledger.records()).map((record) => [record.id, record]));

      for (const { id, status, cost } of shown) {
        expect(records.get(id)).toMatchObject({
          status,
          billedMs: Math.round(cost.billed_seconds * 1000),
          costMicroUsd: cost.micro_usd,
          hardware: cost.sku,
        });
      }
    } finally {
      await ledger.close();
    }
  });
});
