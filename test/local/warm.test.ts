import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';

const within = { timeout: 60_000, interval: 50 };

let home: TestHome;
let server: LocalServer;
beforeAll(async () => {
  home = await newHome();
  server = await home.start({ MIMEO_MAX_INSTANCES: '2', MIMEO_IDLE_SECONDS: '1' });
  await server.push('test/models/noop');
});
afterAll(async () => home.remove());

/** What the pool of the model is like, as its owner sees it. */
async function pool() {
  const { results } = await server.json('GET', '/pools');
  return results.find(({ model }: { model: string }) => model === 'local/noop');
}

async function instances(): Promise<string[]> {
  return ((await pool())?.instances ?? []).map(({ phase }: { phase: string }) => phase);
}

it('a warm call starts a model that nobody has ever run, and its first prediction finds it ready', async () => {
  const warm = await server.json('POST', '/models/local/noop/warm', { seconds: 60 });
  expect(warm).toMatchObject({ instances: 1, eta_seconds: null, cost: { sku: 'cpu', billed: false } });

  await vi.waitFor(async () => expect(await instances()).toEqual(['ready']), within);

  expect((await pool()).reason).toMatch(/^(at least 1 are kept|nothing waits)/);
  const again = await server.json('POST', '/models/local/noop/warm', { seconds: 60 });
  expect(again.eta_seconds).toEqual({ p50: 0, p90: 0 });
  const [{ id }] = (await pool()).instances;
  const run = await server.json('POST', '/predictions', { version: 'local/noop', input: { text: 'x' } });
  expect((await server.endOf(run.id)).status).toBe('succeeded');
  expect((await pool()).instances).toMatchObject([{ id }]);
}, 90_000);

it('a minimum is kept past the idle time, and let go when it is taken away and the hold is over', async () => {
  await server.json('PATCH', '/models/local/noop', { scaling: { min: 2 } });
  await vi.waitFor(async () => expect(await instances()).toEqual(['ready', 'ready']), within);

  await server.json('PATCH', '/models/local/noop', { scaling: null });

  // One is still warm; the other has been idle for longer than a second before long.
  await vi.waitFor(async () => expect(await instances()).toEqual(['ready']), within);
}, 130_000);

it('a director that begins anew foretells a start by those before it', async () => {
  await server.stop();
  server = await home.start({ MIMEO_MAX_INSTANCES: '2', MIMEO_IDLE_SECONDS: '1' });
  const { eta_seconds: eta } = await server.json('POST', '/models/local/noop/warm', { instances: 2 });

  expect(eta.p50).toBeGreaterThan(0);
  expect(eta.p90).toBeGreaterThanOrEqual(eta.p50);
});
