import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Deliveries, type Delivery } from '../../services/data/deliveries.ts';
import { jobItem, jobKey } from '../../services/data/job-items.ts';
import { WebhookSecrets } from '../../services/data/webhook-secrets.ts';
import type { Change } from '../../services/ports/table/port.ts';
import { deliveryMaker, handleMessage, hintOverdue } from '../../services/webhooks/queued.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { aJob } from '../support/jobs.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

type Message = Parameters<Parameters<typeof deliveryMaker>[0]['sender']['send']>[0][number];

let test: TestApi;
let receiver: Receiver;
let status: number;
let sent: Message[];
let parts: Parameters<typeof handleMessage>[0];
beforeEach(async () => {
  test = await openApi();
  status = 200;
  receiver = await startReceiver((response) => response.writeHead(status).end());
  sent = [];
  const policy = { allowHttp: true, allowPrivate: true };
  parts = {
    jobs: test.flow.jobs,
    deliveries: new Deliveries(test.table),
    secrets: new WebhookSecrets(test.table),
    prediction: async (...which) => test.api.predictions.get(...which),
    policy,
    resolve: async () => [],
    now: () => test.clock.now,
    sender: { send: async (messages) => void sent.push(...messages) },
  };
});
afterEach(async () => {
  await test.close();
  await receiver.close();
});

/** The end of a job with a webhook, as the feed tells of it. */
async function ended(): Promise<Change> {
  const at = test.clock.now;
  const job = aJob({ createdAt: at, webhookEvents: ['completed'] });
  const webhook = `${receiver.url}/hook`;
  await test.flow.jobs.create(job, {}, { traceparent: null, secrets: [], webhook });
  await test.flow.cancel(job.id, 'canceled', at);
  const row = await test.flow.jobs.get(job.id);
  if (!row) throw new Error('no job');
  return { id: '1', key: jobKey(job.id), before: undefined, after: jobItem(row) };
}

async function made(): Promise<Delivery> {
  const change = await ended();
  await deliveryMaker(parts).handle([change]);
  const id = `${change.key.pk.slice('JOB#'.length)}-completed-0`;
  const delivery = await parts.deliveries.get(id);
  if (!delivery) throw new Error('no delivery');
  return delivery;
}

/** Hands over the message that was sent last. */
async function handleLast() {
  return await handleMessage(parts, sent.at(-1)?.body ?? '', AbortSignal.timeout(10_000));
}

describe('the end of a job with a webhook', () => {
  it('is one delivery and one message, however often it is handed out', async () => {
    const change = await ended();
    await deliveryMaker(parts).handle([change, change]);
    await deliveryMaker(parts).handle([change]);

    expect(sent).toMatchObject([{ group: 'local', delaySeconds: 0 }]);
  });

  it('is posted once by two messages', async () => {
    const { id } = await made();
    await handleLast();
    await handleLast();

    expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual([id]);
    expect(sent).toHaveLength(1);
    expect(await parts.deliveries.get(id)).toMatchObject({ state: 'delivered' });
  });

  it('is tried again by a message that comes no earlier than that', async () => {
    const { id } = await made();
    status = 503;
    await handleLast();

    const { nextTryAt } = (await parts.deliveries.get(id)) ?? {};
    const waitMs = (nextTryAt ?? 0) - test.clock.now;
    expect(sent).toHaveLength(2);
    expect((sent[1]?.delaySeconds ?? 0) * 1000).toBeGreaterThanOrEqual(waitMs);
    test.clock.now = nextTryAt ?? 0;
    status = 200;
    await handleLast();
    expect(await parts.deliveries.get(id)).toMatchObject({ state: 'delivered' });
  });

  it('is carried on in steps where the next try is hours ahead', async () => {
    const { id } = await made();
    const nextTryAt = test.clock.now + 3_600_000;
    await parts.deliveries.update(id, (known) => ({ ...known, failures: 9, nextTryAt }));
    const body = JSON.stringify({ delivery: id, dueAt: nextTryAt });
    sent = [{ body, group: 'local', delaySeconds: 900 }];
    for (let step = 0; step < 3; step += 1) {
      test.clock.now += 900_000;
      await handleLast();
    }

    expect(sent.map(({ delaySeconds }) => delaySeconds)).toEqual([900, 900, 900, 900]);
    expect(receiver.received).toEqual([]);
    test.clock.now += 900_000;
    await handleLast();
    expect(receiver.received).toHaveLength(1);
  });

  it('tells what became of each try: delivered, refused, or given up', async () => {
    await made();
    status = 503;
    expect(await handleLast()).toBe('refused');
    const [{ nextTryAt = 0 } = {}] = (await parts.deliveries.due({ limit: 1 })).items;
    test.clock.now = nextTryAt ?? 0;
    status = 200;
    expect(await handleLast()).toBe('delivered');
    expect(await handleLast()).toBeUndefined();

    await made();
    // Gone for good.
    status = 410;
    expect(await handleLast()).toBe('dead');
  });

  it('is not carried on by a message of another time', async () => {
    const { id } = await made();
    await parts.deliveries.update(id, (known) => ({ ...known, nextTryAt: test.clock.now + 3_600_000 }));
    await handleLast();

    expect(sent).toHaveLength(1);
  });
});

describe('what has lost its message', () => {
  it('is sent again once it is overdue, and not what waits for its time', async () => {
    const { id } = await made();
    const other = await made();
    await parts.deliveries.update(other.id, (known) => ({ ...known, nextTryAt: test.clock.now + 60_000 }));
    sent = [];
    expect(await hintOverdue(parts, 100)).toBe(0);
    test.clock.now += 10_001;

    expect(await hintOverdue(parts, 100)).toBe(1);
    await handleLast();
    expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual([id]);
  });

  it('is sent again though there is much of it, up to a limit', async () => {
    const { id, ...known } = await made();
    const ids = Array.from({ length: 120 }, (_, attempt) => id.replace(/0$/, String(attempt + 1)));
    for (let start = 0; start < ids.length; start += 60) {
      await parts.deliveries.create(ids.slice(start, start + 60).map((one) => ({ ...known, id: one })));
    }
    test.clock.now += 10_001;
    sent = [];

    expect(await hintOverdue(parts, 110)).toBe(110);
    expect(await hintOverdue(parts, 1000)).toBe(121);
    expect(sent).toHaveLength(231);
  });
});
