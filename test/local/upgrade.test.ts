import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AttachedMachine } from '../support/attached-machine.ts';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { releaseBefore, sourcesOf } from '../support/release.ts';
import { outputs, readEvents } from '../support/sse.ts';

const today = new URL('../..', import.meta.url).pathname;
let before: string;

beforeAll(async () => {
  before = await sourcesOf(releaseBefore.oneMachine);
});

describe('a home that two releases have worked with', () => {
  let home: TestHome;
  let server: LocalServer;
  /** Ids of what each release has ended, oldest first. */
  const ended: string[] = [];

  beforeAll(async () => {
    home = await newHome();
  });
  afterAll(async () => home.remove());

  async function startAs(root: string): Promise<void> {
    home.useSources(root);
    server = await home.start();
  }

  async function run(text: string): Promise<void> {
    const path = '/models/local/hello-world/predictions';
    const body = await server.json('POST', path, { input: { text } }, { prefer: 'wait' });
    expect(body).toMatchObject({ status: 'succeeded', output: `hello ${text}` });
    ended.push(body.id);
  }

  /** Everything that was run, read by whichever release runs now. */
  async function readsAll(): Promise<void> {
    const { results } = await server.json('GET', '/predictions');
    const known = new Map(results.map((each: { id: string; output: string }) => [each.id, each.output]));
    for (const [at, id] of ended.entries()) {
      expect(known.get(id)).toBe(`hello ${at}`);
      expect((await server.json('GET', `/predictions/${id}`)).cost.micro_usd).not.toBeNull();
    }
  }

  it('is read by both, and what one has begun the other ends', async () => {
    await startAs(before);
    await run('0');
    await server.push('test/models/sleeper');
    const begun = await server.json('POST', '/models/local/sleeper/predictions', { input: { seconds: 2 } });
    await server.kill();

    await startAs(today);
    await readsAll();
    await run('1');
    expect(await server.endOf(begun.id)).toMatchObject({ status: 'succeeded', output: 'slept 2 s' });
    const next = await server.json('POST', '/models/local/sleeper/predictions', { input: { seconds: 2 } });
    await server.stop();

    await startAs(before);
    await readsAll();
    await run('2');
    expect(await server.endOf(next.id)).toMatchObject({ status: 'succeeded', output: 'slept 2 s' });
  });
});

describe.each([
  { runner: 'the release before', platform: 'today', old: 'runner' },
  { runner: 'today', platform: 'the release before', old: 'platform' },
])('a runner of $runner at a platform of $platform', ({ old }) => {
  let home: TestHome;
  let server: LocalServer;
  let machine: AttachedMachine | undefined;

  beforeAll(async () => {
    home = await newHome();
    home.useSources(old === 'platform' ? before : today);
    server = await home.start({ MIMEO_MAX_INSTANCES: '1' });
    const { model, version } = await server.push('test/models/counter');
    // This machine's own place is taken, so only the runner that is attached can serve the other model.
    const { version: sleeper } = await server.push('test/models/sleeper');
    const busy = await server.json('POST', '/predictions', { version: sleeper, input: { seconds: 300 } });
    await vi.waitFor(
      async () => expect((await server.json('GET', `/predictions/${busy.id}`)).status).toBe('processing'),
      20_000,
    );
    const root = old === 'runner' ? before : today;
    machine = AttachedMachine.start({
      home: home.path,
      url: server.url,
      model,
      version,
      streams: true,
      root,
    });
  });
  afterAll(async () => {
    await machine?.stop();
    await home.remove();
  });

  it('streams, with every token and every line once', async () => {
    const created = await server.json('POST', '/models/local/counter/predictions', {
      input: { n: 10, delay: 0.05 },
    });
    const events = await Array.fromAsync(readEvents(created.urls.stream));
    const prediction = await server.endOf(created.id);

    expect(outputs(events)).toEqual(Array.from({ length: 10 }, (_, at) => String(at)));
    expect(prediction).toMatchObject({ status: 'succeeded', output: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] });
    const logs = events.filter(({ event }) => event === 'logs').map(({ data }) => data);
    expect(logs.join('')).toBe(prediction.logs);
  });

  it('hears of a cancel', async () => {
    const path = '/models/local/counter/predictions';
    const { id } = await server.json('POST', path, { input: { n: 1000, delay: 0.05 } });
    await expect.poll(async () => (await server.json('GET', `/predictions/${id}`)).status).toBe('processing');
    await server.json('POST', `/predictions/${id}/cancel`);
    const next = await server.json('POST', path, { input: { n: 2, delay: 0 } }, { prefer: 'wait' });

    expect(next).toMatchObject({ status: 'succeeded', output: [0, 1] });
    expect(await server.endOf(id)).toMatchObject({ status: 'canceled' });
  });
});
