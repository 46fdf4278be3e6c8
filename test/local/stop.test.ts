import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { processesIn, running } from '../support/processes.ts';

let home: TestHome;
beforeEach(async () => {
  home = await newHome();
});
afterEach(async () => home.remove());

/** Creates a prediction and waits until its model has begun. */
async function begin(server: LocalServer, version: string, input: object): Promise<{ readonly id: string }> {
  const created = await server.json('POST', '/predictions', { version, input });
  await vi.waitFor(
    async () =>
      expect(await server.json('GET', `/predictions/${created.id}`)).toMatchObject({
        status: 'processing',
        logs: expect.stringMatching(/./),
      }),
    { timeout: 30_000, interval: 50 },
  );
  return created;
}

describe.each(['SIGINT', 'SIGTERM'] as const)('%s while a prediction runs', (signal) => {
  it('stops cleanly, and the next start takes the prediction up', async () => {
    const first = await home.start();
    await first.push('test/models/sleeper');
    const { id } = await begin(first, 'local/sleeper', { seconds: 6 });
    const models = processesIn(home.path);
    expect(models.length).toBeGreaterThan(0);
    const stoppedAt = performance.now();

    const ended = await first.stop(signal);

    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(performance.now() - stoppedAt).toBeLessThan(10_000);
    expect(ended.stdout).toContain('Stopping: running predictions are given back');
    expect(ended.stderr).toBe('');
    await vi.waitFor(() => expect(running(models)).toEqual([]), 1000);
    expect(processesIn(home.path)).toEqual([]);

    const second = await home.start();
    expect(second.stdout()).toContain('Taking up 1 prediction that had not ended.');
    expect(await second.endOf(id)).toMatchObject({ status: 'succeeded', output: 'slept 6 s' });
  });
});

describe('a stop', () => {
  it('lets a prediction that is about to end do so', async () => {
    const first = await home.start();
    await first.push('test/models/sleeper');
    const { id } = await begin(first, 'local/sleeper', { seconds: 1 });

    await first.stop();

    const second = await home.start();
    expect(second.stdout()).not.toContain('Taking up');
    expect(await second.endOf(id)).toMatchObject({ status: 'succeeded', output: 'slept 1 s' });
  });

  it('ends a prediction whose output was seen, rather than run it again', async () => {
    const first = await home.start();
    await first.push('test/models/counter');
    const { id } = await begin(first, 'local/counter', { n: 1000, delay: 0.05 });

    await first.stop();

    const second = await home.start();
    expect(await second.endOf(id)).toMatchObject({
      status: 'failed',
      code: 'instance_lost',
      retryable: true,
      cost: { micro_usd: 0 },
    });
  });

  it('leaves waiting predictions for the next start, each of which runs once', async () => {
    const env = { MIMEO_MAX_INSTANCES: '1' };
    const diary = join(home.path, 'diary');
    const first = await home.start(env);
    await first.push('test/models/sleeper');
    await first.push('test/models/diary');
    const busy = await begin(first, 'local/sleeper', { seconds: 60 });
    const waiting: { id: string }[] = [];
    for (let index = 0; index < 5; index += 1) {
      const input = { file: diary, line: `${index}` };
      waiting.push(await first.json('POST', '/predictions', { version: 'local/diary', input }));
    }

    await first.stop();

    const second = await home.start(env);
    expect(second.stdout()).toContain('Taking up 6 predictions that had not ended.');
    await second.json('POST', `/predictions/${busy.id}/cancel`);
    for (const { id } of waiting) expect((await second.endOf(id)).status).toBe('succeeded');
    expect((await readFile(diary, 'utf8')).trim().split('\n').sort()).toEqual(['0', '1', '2', '3', '4']);
  });

  it('answers those who wait for a prediction before it hangs up, or hangs up', async () => {
    const server = await home.start();
    await server.push('test/models/sleeper');
    const waiting = server
      .call('POST', '/predictions', { version: 'local/sleeper', input: { seconds: 60 } }, { prefer: 'wait' })
      .then(
        (response) => response.status,
        () => 'hung up',
      );
    await vi.waitFor(async () => expect((await server.json('GET', '/predictions')).results).toHaveLength(2));

    await server.stop();

    expect(['hung up', 201, 503]).toContain(await waiting);
  });
});
