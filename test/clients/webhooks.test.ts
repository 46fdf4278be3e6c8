import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Replicate, { validateWebhook } from 'replicate';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { pythonClient } from '../support/python-client.ts';
import { type ReceivedWebhook, type Receiver, startReceiver } from '../support/receiver.ts';

const run = promisify(execFile);
const soon = { timeout: 30_000, interval: 20 };

let home: TestHome;
let server: LocalServer;
let receiver: Receiver;
let replicate: Replicate;
beforeAll(async () => {
  receiver = await startReceiver();
  home = await newHome();
  server = await home.start();
  for (const name of ['noop', 'counter']) await server.push(`test/models/${name}`);
  replicate = new Replicate({ auth: server.token, baseUrl: `${server.url}/v1` });
});
afterAll(async () => {
  await home.remove();
  await receiver.close();
});

/** What came for one path until its `completed`, in the order of arrival. */
async function arrivals(path: string): Promise<ReceivedWebhook[]> {
  return await vi.waitFor(() => {
    const mine = receiver.received.filter((one) => one.path === path);
    expect(mine.some(({ headers }) => String(headers['webhook-id']).includes('-completed-'))).toBe(true);
    return mine;
  }, soon);
}

describe('a webhook', () => {
  it('carries the prediction as GET shows it, signed so that the npm client accepts it', async () => {
    const created = await replicate.predictions.create({
      model: 'local/noop',
      input: { text: 'żółw' },
      webhook: `${receiver.url}/npm`,
      webhook_events_filter: ['completed'],
    });
    const [delivery, ...more] = await arrivals('/npm');
    if (!delivery) throw new Error('nothing arrived');
    const { key } = await replicate.webhooks.default.secret.get();

    expect(more).toEqual([]);
    const { headers, body } = delivery;
    expect(JSON.parse(body)).toEqual(await server.json('GET', `/predictions/${created.id}`));
    const given = {
      id: String(headers['webhook-id']),
      timestamp: String(headers['webhook-timestamp']),
      signature: String(headers['webhook-signature']),
      secret: key,
    };
    expect(await validateWebhook({ ...given, body })).toBe(true);
    expect(await validateWebhook({ ...given, body: body.replace('succeeded', 'failed') })).toBe(false);
  });

  it('is accepted by the Python client', async () => {
    await server.json('POST', '/predictions', {
      version: 'local/noop',
      input: { text: 'p' },
      webhook: `${receiver.url}/python`,
      webhook_events_filter: ['completed'],
    });
    const [delivery] = await arrivals('/python');
    const program = `
import json, os, replicate
from replicate.webhook import Webhooks
given = json.loads(os.environ["DELIVERY"])
secret = replicate.webhooks.default.secret()
Webhooks.validate(headers=given["headers"], body=given["body"], secret=secret)
try:
    Webhooks.validate(headers=given["headers"], body=given["body"] + " ", secret=secret)
except Exception as error:
    print(type(error).__name__)
`;

    const { stdout } = await run(join(await pythonClient(), 'python'), ['-c', program], {
      env: {
        PATH: process.env.PATH,
        DELIVERY: JSON.stringify(delivery),
        REPLICATE_BASE_URL: server.url,
        REPLICATE_API_TOKEN: server.token,
      },
    });

    expect(stdout.trim()).toBe('InvalidSignatureError');
  });

  it('comes at the start, with output at most twice a second, and once at the end', async () => {
    await server.json('POST', '/predictions', {
      version: 'local/counter',
      input: { n: 20, delay: 0.1 },
      webhook: `${receiver.url}/events`,
    });

    const bodies = await arrivals('/events');

    const events = bodies.map(({ headers }) => String(headers['webhook-id']).split('-')[1]);
    expect(events.filter((event) => event === 'start')).toHaveLength(1);
    expect(events.at(-1)).toBe('completed');
    const outputs = bodies.filter((_, place) => events[place] === 'output');
    expect(outputs.length).toBeGreaterThanOrEqual(2);
    expect(outputs.length).toBeLessThanOrEqual(6);
    const lengths = outputs.map(({ body }) => JSON.parse(body).output.length);
    expect(lengths).toEqual(lengths.toSorted((a: number, b: number) => a - b));
  });
});

describe('kill -9 while the receiver is down', () => {
  it('loses nothing: once both are up again, `completed` arrives and is accepted once', async () => {
    const down = await startReceiver();
    const { port, url } = down;
    await down.close();
    const { id } = await server.json(
      'POST',
      '/predictions',
      { version: 'local/noop', input: {}, webhook: url, webhook_events_filter: ['completed'] },
      { prefer: 'wait' },
    );
    await vi.waitFor(async () => {
      const { results } = await server.json('GET', `/webhooks/deliveries?prediction=${id}`);
      expect(results[0]?.attempts).toMatchObject([
        { status: null, error: expect.stringContaining('ECONNREFUSED') },
      ]);
    }, soon);

    await server.kill();
    server = await home.start();
    const up = await startReceiver(undefined, port);
    try {
      const delivery = await vi.waitFor(async () => {
        const answer = await server.json('GET', `/webhooks/deliveries?prediction=${id}&state=delivered`);
        expect(answer.results).toHaveLength(1);
        return answer.results[0];
      }, soon);

      expect(up.received).toHaveLength(1);
      expect(up.received[0]?.headers['webhook-id']).toBe(delivery.id);
      expect(JSON.parse(up.received[0]?.body ?? '')).toMatchObject({ id, status: 'succeeded' });
    } finally {
      await up.close();
    }
  });
});
