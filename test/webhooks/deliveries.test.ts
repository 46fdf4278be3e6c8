import type { ServerResponse } from 'node:http';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sharedPoolId } from '../../services/core/pool.ts';
import { Deliveries } from '../../services/data/deliveries.ts';
import { WebhookSecrets } from '../../services/data/webhook-secrets.ts';
import type { ChangeFeed } from '../../services/ports/table/port.ts';
import { Webhooks } from '../../services/webhooks/app.ts';
import { openApi, schemaWith, type TestApi } from '../support/api.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

const soon = { timeout: 10_000, interval: 10 };
const version = 'a'.repeat(64);
const pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });
const policy = { allowHttp: true, allowPrivate: true };

interface Body {
  readonly id: string;
  readonly prediction: string;
  readonly event: string;
  readonly state: string;
  readonly attempts: { readonly status: number | null }[];
}

let test: TestApi;
let deliveries: Deliveries;
let receiver: Receiver;
let answer: (response: ServerResponse, path: string) => void;
let stops: (() => Promise<void>)[];
beforeEach(async () => {
  answer = (response) => response.writeHead(200).end('thanks');
  receiver = await startReceiver((response, path) => answer(response, path));
  test = await openApi(undefined, { webhookTargets: policy });
  deliveries = new Deliveries(test.table);
  const openapiSchema = schemaWith({
    key: { type: 'string', format: 'password', writeOnly: true, 'x-cog-secret': true },
  });
  await test.addModel({ name: 'echo' }, { id: version, streams: true, openapiSchema });
  const webhooks = new Webhooks({
    ...test,
    jobs: test.flow.jobs,
    deliveries,
    secrets: new WebhookSecrets(test.table),
    prediction: async (...which) => test.api.predictions.get(...which),
    policy,
    resolve: async () => [],
    now: () => test.clock.now,
    logger: pino({ level: 'silent' }),
  });
  stops = [await webhooks.start(), (test.table as unknown as ChangeFeed).consume(webhooks.consumer)];
});
afterEach(async () => {
  for (const stop of stops.reverse()) await stop();
  await test.close();
  await receiver.close();
});

async function create(more: object = {}, input: object = {}): Promise<string> {
  const body = { version: 'local/echo', input, webhook: `${receiver.url}/hook`, ...more };
  const response = await test.call('POST', '/v1/predictions', body);
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
}

async function cancel(id: string): Promise<void> {
  await test.call('POST', `/v1/predictions/${id}/cancel`);
}

async function listed(query = ''): Promise<Body[]> {
  const response = await test.call('GET', `/v1/webhooks/deliveries${query}`);
  return ((await response.json()) as { results: Body[] }).results;
}

async function settled(count = 1): Promise<Body[]> {
  return await vi.waitFor(async () => {
    const all = await listed();
    expect(all.filter(({ attempts }) => attempts.length > 0)).toHaveLength(count);
    return all;
  }, soon);
}

/** The events that arrived, in order. */
function arrived(): (string | undefined)[] {
  return receiver.received.map(({ headers }) => String(headers['webhook-id']).split('-')[1]);
}

describe('what a webhook is told', () => {
  it('is the end of a prediction that never ran, too', async () => {
    const id = await create();
    await cancel(id);

    expect(await settled()).toMatchObject([{ id: `${id}-completed-0`, prediction: id, state: 'delivered' }]);
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({ id, status: 'canceled' });
  });

  it('is what its filter names and nothing else', async () => {
    await create({ webhook_events_filter: ['start'] });
    const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
    const job = await runner.lease({ instance: 'one', waitSeconds: 0 });
    await settled();
    await cancel(job?.id ?? '');
    const other = await create({ webhook_events_filter: ['completed'] });
    await cancel(other);

    await settled(2);
    expect(arrived()).toEqual(['start', 'completed']);
  });

  it('has no payload that is too large for a webhook, says so, and leads to it', async () => {
    const id = await create({ webhook_events_filter: ['completed'] }, { text: 'hi' });
    const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
    const { attempt = 0 } = (await runner.lease({ instance: 'one', waitSeconds: 0 })) ?? {};
    const output = ['x'.repeat(3 * 1024 * 1024)];
    const outcome = { status: 'succeeded', output, predictMs: 1, metrics: {} } as const;
    const ended = { type: 'ended', outcome, logs: 'done\n', acceptedAfterMs: 0 } as const;
    await runner.report({ id, attempt, events: [ended] });
    await settled();

    const { urls, ...told } = JSON.parse(receiver.received[0]?.body ?? '');
    expect(told).toMatchObject({ status: 'succeeded', output: null, logs: 'done\n', omitted: ['output'] });
    const whole = await (await test.call('GET', new URL(urls.get).pathname)).json();
    expect(whole).toMatchObject({ output });
    expect(whole).not.toHaveProperty('omitted');
  });

  it('is new logs within a moment, where it asked for them, but no output where it did not', async () => {
    await create({ webhook_events_filter: ['logs'] });
    const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
    const job = await runner.lease({ instance: 'one', waitSeconds: 0 });
    const ref = { id: job?.id ?? '', attempt: 1 };
    await runner.report({ ...ref, events: [{ type: 'output', index: 0, chunk: 'not yet' }] });
    await runner.report({ ...ref, events: [{ type: 'logs', text: 'line\n' }] });

    await settled();
    expect(arrived()).toEqual(['logs']);
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({
      status: 'processing',
      logs: 'line\n',
    });
  });

  it('is not what the end has overtaken, which is not sent and not kept', async () => {
    await cancel(await create());
    const [completed] = await settled();
    const known = await deliveries.get(completed?.id ?? '');
    if (!known) throw new Error('nothing was delivered');
    const id = `${known.job}-output-1-7`;
    const nextTryAt = test.clock.now;
    await deliveries.create([{ ...known, id, event: 'output', state: 'pending', nextTryAt, attempts: [] }]);
    await test.channel.ring('deliveries');

    await vi.waitFor(async () => expect(await deliveries.get(id)).toBeUndefined(), soon);
    expect(arrived()).toEqual(['completed']);
  });

  it('does not hold the secrets among its inputs', async () => {
    await cancel(await create({}, { key: 'hush-hush' }));
    await settled();

    expect(receiver.received[0]?.body).not.toContain('hush-hush');
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({ input: { key: '**********' } });
  });

  it('is nothing where there is no webhook', async () => {
    const silent = await create({ webhook: null });
    await cancel(silent);
    const id = await create();
    await cancel(id);

    await settled();
    expect((await listed()).map(({ prediction }) => prediction)).toEqual([id]);
  });
});

describe('a change that is handed out twice', () => {
  it('makes one delivery', async () => {
    const id = await create();
    await cancel(id);
    const [known] = await settled();
    const stored = await deliveries.get(known?.id ?? '');

    expect(stored && (await deliveries.create([stored]))).toEqual([]);
  });
});

describe('a delivery that fails', () => {
  it('is tried again when its time has come, under the same id, with a signature of that time', async () => {
    answer = (response) => response.writeHead(receiver.received.length === 1 ? 503 : 200).end();
    await cancel(await create());
    await settled();
    test.clock.now += 3000;
    await test.channel.ring('deliveries');

    await vi.waitFor(async () => expect((await listed())[0]?.state).toBe('delivered'), soon);
    const [first, second] = receiver.received.map(({ headers }) => headers);
    expect(second?.['webhook-id']).toBe(first?.['webhook-id']);
    expect(Number(second?.['webhook-timestamp'])).toBe(Number(first?.['webhook-timestamp']) + 3);
    expect((await listed())[0]?.attempts.map(({ status }) => status)).toEqual([503, 200]);
  });

  it('is dead after a day, and a person can have it sent again', async () => {
    answer = (response) => response.writeHead(500).end();
    await cancel(await create());
    await settled();
    test.clock.now += 25 * 3_600_000;
    await test.channel.ring('deliveries');
    await vi.waitFor(async () => expect((await listed('?state=dead')).length).toBe(1), soon);
    const [dead] = await listed();

    answer = (response) => response.writeHead(200).end();
    const again = await test.call('POST', `/v1/webhooks/deliveries/${dead?.id}/redeliver`);

    expect(again.status).toBe(200);
    await vi.waitFor(async () => expect((await listed('?state=delivered')).length).toBe(1), soon);
  });

  it('is given up where the receiver is gone for good', async () => {
    answer = (response) => response.writeHead(410).end();
    await cancel(await create());

    expect(await settled()).toMatchObject([{ state: 'dead', attempts: [{ status: 410 }] }]);
  });

  it('comes back with all that has failed since a time', async () => {
    const early = new Date(test.clock.now).toISOString();
    answer = (response) => response.writeHead(410).end();
    for (let count = 0; count < 3; count += 1) await cancel(await create());
    await settled(3);
    answer = (response) => response.writeHead(200).end();

    const none = await test.call('POST', '/v1/webhooks/deliveries/redeliver', {
      since: '2100-01-01T00:00:00Z',
    });
    const all = await test.call('POST', '/v1/webhooks/deliveries/redeliver', { since: early });

    expect(await none.json()).toEqual({ redelivered: 0 });
    expect(await all.json()).toEqual({ redelivered: 3 });
    await vi.waitFor(async () => expect(await listed('?state=delivered')).toHaveLength(3), soon);
  });
});

describe('a receiver that never answers', () => {
  it('holds up nobody else', async () => {
    answer = () => {};
    for (let count = 0; count < 20; count += 1) await cancel(await create());
    await vi.waitFor(() => expect(receiver.received).toHaveLength(4), soon);
    const other = await startReceiver();
    try {
      await cancel(await create({ webhook: other.url }));

      await vi.waitFor(() => expect(other.received).toHaveLength(1), soon);
      expect(receiver.received).toHaveLength(4);
    } finally {
      await other.close();
    }
  });
});

describe('deliveries', () => {
  it('are not there for another account', async () => {
    await cancel(await create());
    const [mine] = await settled();
    const authorization = `Bearer ${await test.addAccount('eve')}`;
    const path = `/v1/webhooks/deliveries/${mine?.id}`;

    expect((await test.call('GET', path)).status).toBe(200);
    expect((await test.call('GET', path, undefined, { authorization })).status).toBe(404);
    expect((await test.call('POST', `${path}/redeliver`, undefined, { authorization })).status).toBe(404);
    const list = `/v1/webhooks/deliveries?prediction=${mine?.prediction}`;
    const answered = await test.call('GET', list, undefined, { authorization });
    expect(await answered.json()).toMatchObject({ results: [] });
  });

  it('are signed with one secret for an account, another for each', async () => {
    const path = '/v1/webhooks/default/secret';
    const [one, same] = await Promise.all([test.call('GET', path), test.call('GET', path)]);
    const authorization = `Bearer ${await test.addAccount('eve')}`;
    const other = await test.call('GET', path, undefined, { authorization });

    const { key } = (await one.json()) as { key: string };
    expect(key).toMatch(/^whsec_[A-Za-z0-9+/]{32}$/);
    expect(await same.json()).toEqual({ key });
    expect(await other.json()).not.toEqual({ key });
  });
});

it.each([
  [{ webhook: 'http://169.254.169.254/latest' }, 'webhook'],
  [{ webhook: 'https://a:b@example.com/' }, 'webhook'],
  [{ webhook_events_filter: ['everything'] }, 'webhook_events_filter'],
  [{ webhook_events_filter: [] }, 'webhook_events_filter'],
])('%j is refused by name', async (more, field) => {
  const body = { version: 'local/echo', input: {}, ...more };

  for (const path of ['/v1/predictions', '/v1/models/local/echo/predictions']) {
    const response = await test.call('POST', path, body);
    expect(response.status).toBe(422);
    expect(((await response.json()) as { detail: string }).detail).toContain(`- ${field}`);
  }
});
