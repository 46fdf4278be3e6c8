import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { maxLogCharacters } from '../../services/ports/fleet-protocol/port.ts';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';

// What a user sees of each way in which a model can fail, on a server that others use at the same time.
let home: TestHome;
let server: LocalServer;
beforeAll(async () => {
  home = await newHome();
  server = await home.start({
    MIMEO_MAX_INSTANCES: '2',
    MIMEO_IDLE_SECONDS: '2',
    MIMEO_LOG_LEVEL: 'info',
  });
  for (const name of models) await server.push(`test/models/${name}`);
});
afterAll(async () => home.remove());

const models = [
  'noop',
  'setup-fails',
  'raises',
  'crashes',
  'ignores-cancel',
  'floods-log',
  'huge-output',
  'secret',
];

async function create(name: string, input: object, headers?: Record<string, string>) {
  return await server.json('POST', '/predictions', { version: `local/${name}`, input }, headers);
}

async function get(id: string) {
  return await server.json('GET', `/predictions/${id}`);
}

async function poolOf(name: string) {
  const { results } = await server.json('GET', '/pools');
  return results.find(({ model }: { model: string }) => model === `local/${name}`);
}

/** The instances of a model, by their ids. */
async function instances(name: string): Promise<string[]> {
  return (await poolOf(name)).instances.map(({ id }: { id: string }) => id);
}

/** Runs a model to its end while another one is used, to which nothing may happen. */
async function run(name: string, input: object) {
  const [prediction, neighbour] = await Promise.all([
    create(name, input).then(({ id }) => server.endOf(id)),
    create('noop', { text: `beside ${name}` }).then(({ id }) => server.endOf(id)),
  ]);
  expect(neighbour).toMatchObject({ status: 'succeeded', output: `beside ${name}` });
  return prediction;
}

describe('a model', () => {
  it('whose setup fails is named as the cause, with what its setup printed', async () => {
    const failed = await run('setup-fails', {});

    expect(failed).toMatchObject({
      status: 'failed',
      code: 'setup_failed',
      fault: 'model',
      retryable: false,
    });
    expect(failed.error).toContain('the weights are not where they should be');
    expect(failed.logs).toContain('looking for the weights');
    expect(failed.cost).toMatchObject({ micro_usd: 0 });
    const { results } = await server.json('GET', '/models/local/setup-fails/setup-logs');
    expect(results.at(-1)).toMatchObject({ instance: null, phase: 'failed' });
    expect(results.at(-1).logs).toContain('looking for the weights');
    expect((await poolOf('setup-fails')).breaker.message).toContain(
      'the weights are not where they should be',
    );
  });

  it('that raises fails with its message, and its logs tell how far it came', async () => {
    const failed = await run('raises', { message: 'out of cheese' });

    expect(failed).toMatchObject({ status: 'failed', code: 'model_error', fault: 'model', retryable: false });
    expect(failed.error).toContain('out of cheese');
    expect(failed.logs).toContain('about to raise');
  });

  it('whose process exits in the middle is tried once more, and then blamed', async () => {
    const failed = await run('crashes', {});

    expect(failed).toMatchObject({
      status: 'failed',
      code: 'model_crashed',
      fault: 'model',
      retryable: true,
    });
    expect(failed.error).toMatch(/\S/);
    expect(await run('crashes', { crash: false })).toMatchObject({ status: 'succeeded' });
  });

  it('that exits after it has shown output is not run again', async () => {
    const failed = await run('crashes', { speak_first: true, pause: 3 });

    expect(failed).toMatchObject({ status: 'failed', output: ['last words '] });
    expect(failed.code).toMatch(/^(model_crashed|instance_lost)$/);
  });

  it('that ignores a cancel is stopped all the same: at once for its user, by force a little later', async () => {
    const { id } = await create('ignores-cancel', { seconds: 60 });
    await vi.waitFor(async () => expect((await get(id)).logs).toContain('still here'), {
      timeout: 30_000,
      interval: 50,
    });
    const [stubborn] = await instances('ignores-cancel');
    expect(stubborn).toMatch(/^i-/);
    const startedAt = performance.now();
    const canceled = await server.json('POST', `/predictions/${id}/cancel`);

    expect(canceled).toMatchObject({ status: 'canceled', code: 'canceled', fault: 'user' });
    expect(performance.now() - startedAt).toBeLessThan(2000);
    // Well before it would have ended by itself.
    await expect.poll(async () => instances('ignores-cancel'), { timeout: 30_000 }).not.toContain(stubborn);
    expect(await run('ignores-cancel', { seconds: 0 })).toMatchObject({
      status: 'succeeded',
      output: 'done anyway',
    });
  });

  it('that floods its log succeeds, with its first and last lines and no more than is kept', async () => {
    const flooded = await run('floods-log', { megabytes: 8 });

    expect(flooded).toMatchObject({ status: 'succeeded', output: 'printed 8 MB' });
    expect(flooded.logs.length).toBeLessThan(maxLogCharacters + 1000);
    expect(flooded.logs.length).toBeGreaterThan(maxLogCharacters / 2);
    expect(flooded.logs.slice(0, 200)).toContain('first line');
    expect(flooded.logs.slice(-200)).toContain('last line');
  });

  it('that puts out more than may be fails as output_too_large; what is large but allowed arrives whole', async () => {
    const large = await run('huge-output', { megabytes: 2 });
    const huge = await run('huge-output', { megabytes: 100 });

    expect(large.status).toBe('succeeded');
    expect(large.output).toHaveLength(2 * 1024 * 1024);
    expect(huge).toMatchObject({
      status: 'failed',
      code: 'output_too_large',
      fault: 'model',
      retryable: false,
      output: null,
    });
    expect(huge.error).toMatch(/MiB/);
  });
});

describe('a Secret', () => {
  const key = 'hunter2-and-long-enough-to-be-found';

  it('reaches the model and nobody else: not get, list, logs, errors or the log of the server', async () => {
    const used = await create('secret', { key }, { prefer: 'wait=60' });
    const failed = await run('secret', { key, fail: true });
    const refused = await server.call('POST', '/predictions', {
      version: 'local/secret',
      input: { key: [key], fail: 'perhaps' },
    });

    expect(used).toMatchObject({
      status: 'succeeded',
      output: createHash('sha256').update(key).digest('hex'),
    });
    expect(failed).toMatchObject({ status: 'failed', code: 'model_error' });
    expect(failed.error).toContain('opens nothing');
    expect(refused.status).toBe(422);
    const shown = [used, failed, await get(used.id), await server.json('GET', '/predictions')];
    expect(JSON.stringify(shown)).not.toContain(key);
    expect(await refused.text()).not.toContain(key);
    expect(server.stdout() + server.stderr()).not.toContain(key);
    expect(server.stderr()).toContain('"path":"/v1/predictions"');
    expect((await get(used.id)).input.key).toMatch(/^\*+$/);
  });
});
