import Replicate, { validateWebhook } from 'replicate';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { RunningPlatform, StartPlatform } from '../support/local-server.ts';
import { startReceiver } from '../support/receiver.ts';
import { expectEveryMethodCalled } from './without-route.ts';

const soon = { timeout: 30_000, interval: 20 };

/** Every method of the npm client, and its validator of webhooks. */
export function describeNpmMethods(start: StartPlatform): void {
  let server: RunningPlatform;
  let replicate: Replicate;
  const methods = new Set<string>();
  const called = new Set<string>();

  /** Has every function of an object note that it was called. */
  function note(owner: Record<string, unknown>, name: string, path: string): void {
    const original = owner[name];
    if (typeof original !== 'function') return;
    methods.add(path);
    owner[name] = function (this: unknown, ...args: unknown[]) {
      called.add(path);
      return original.apply(this, args);
    };
  }

  function noteAll(object: Record<string, unknown>, path = ''): void {
    for (const [name, value] of Object.entries(object)) {
      if (typeof value === 'function') note(object, name, path + name);
      else if (typeof value === 'object' && value !== null)
        noteAll(value as Record<string, unknown>, `${path}${name}.`);
    }
  }

  beforeAll(async () => {
    server = await start();
    for (const name of ['noop', 'sleeper', 'counter']) await server.push(`test/models/${name}`);
    replicate = new Replicate({ auth: server.token, baseUrl: `${server.url}/v1` });
    const client = replicate as unknown as Record<string, unknown>;
    noteAll(client);
    for (const name of ['run', 'request', 'stream', 'paginate', 'wait']) note(client, name, name);
  });
  afterAll(async () => server?.stop());

  it('every method of the npm client that has a route here answers as its types say', async () => {
    const { accounts, files, hardware, models, predictions, webhooks } = replicate;
    expect(Object.getOwnPropertyNames(Replicate.prototype).sort()).toEqual(
      ['constructor', 'paginate', 'request', 'run', 'stream', 'wait'].sort(),
    );

    expect((await accounts.current()).username).toBe('local');
    expect((await hardware.list()).map(({ sku }) => sku)).toContain('cpu');

    await models.create('local', 'made-here', { visibility: 'private', hardware: 'cpu' });
    expect(await models.get('local', 'made-here')).toMatchObject({ owner: 'local', latest_version: null });
    expect((await models.list()).results.map(({ name }) => name)).toContain('hello-world');
    const listed = (await models.versions.list('local', 'noop')) as unknown as { results: { id: string }[] };
    const id = String(listed.results[0]?.id);
    expect((await models.versions.get('local', 'noop', id)).id).toBe(id);

    const created = await predictions.create({ version: id, input: { text: 'a' } });
    const ended = await replicate.wait(created, { interval: 20 });
    expect(await predictions.get(created.id)).toEqual(ended);
    expect(await predictions.cancel(created.id)).toEqual(ended);
    expect((await predictions.list()).results.map((one) => one.id)).toContain(created.id);
    expect(await replicate.run('local/noop', { input: { text: 'b' } })).toBe('b');
    const events = await Array.fromAsync(replicate.stream('local/counter', { input: { n: 2, delay: 0.01 } }));
    expect(events.at(-1)?.event).toBe('done');
    for await (const page of replicate.paginate(predictions.list)) expect(page.length).toBeGreaterThan(2);

    const file = await files.create(new Blob(['abc']));
    expect(await files.get(file.id)).toEqual(file);
    expect((await files.list()).results).toContainEqual(file);
    expect(await files.delete(file.id)).toBe(true);
    expect((await webhooks.default.secret.get()).key).toMatch(/^whsec_/);
    expect((await replicate.request('/account', { method: 'GET' })).status).toBe(200);

    // `fetch` is how it sends, not a method of the API.
    await expectEveryMethodCalled(server, { methods: [...methods], called: [...called] }, ['fetch']);
    expect(called.size).toBeGreaterThan(20);
  });

  it('the validator of the npm client accepts a webhook as the request that it came in', async () => {
    const receiver = await startReceiver();
    try {
      await replicate.predictions.create({
        model: 'local/noop',
        input: { text: 'żółw' },
        webhook: receiver.url,
        webhook_events_filter: ['completed'],
      });
      const { headers, body } = await vi.waitFor(() => {
        const [first] = receiver.received;
        if (!first) throw new Error('nothing arrived');
        return first;
      }, soon);
      const { key } = await replicate.webhooks.default.secret.get();
      const request = (text: string) =>
        new Request(receiver.url, { method: 'POST', body: text, headers: headers as Record<string, string> });

      expect(await validateWebhook(request(body), key)).toBe(true);
      expect(await validateWebhook(request(`${body} `), key)).toBe(false);
    } finally {
      await receiver.close();
    }
  });
}
