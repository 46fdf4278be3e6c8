import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openLedger } from '../support/ledger.ts';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { processesIn, running } from '../support/processes.ts';
import { outputs, readEvents } from '../support/sse.ts';

interface Seen {
  readonly id: string;
  readonly model: string;
  readonly status: string;
  readonly output: unknown;
  readonly code?: string;
  readonly completed_at: string | null;
  readonly cost: { readonly billed_seconds: number | null; readonly micro_usd: number | null };
}

const total = 100;
const creators = 8;

describe('kill -9 in the middle of a hundred predictions', () => {
  let home: TestHome;
  let second: LocalServer;
  /** Ids whose 201 was seen before the kill. */
  const accepted: string[] = [];
  let modelsOfFirstLife: readonly number[];
  let ended: Seen[];

  beforeAll(async () => {
    home = await newHome();
    const first = await home.start({ MIMEO_MAX_INSTANCES: '3' });
    for (const name of ['noop', 'counter', 'diary']) await first.push(`test/models/${name}`);
    await createUntilKilled(first);
    second = await home.start({ MIMEO_MAX_INSTANCES: '3' });
    ended = await allEnded(second);
  });
  afterAll(async () => home.remove());

  async function createUntilKilled(server: LocalServer): Promise<void> {
    let next = 0;
    let killed: Promise<unknown> | undefined;
    const create = async () => {
      while (next < total && !killed) {
        const place = next++;
        // Every other one is waited for, so that some have ended and some run when the process dies.
        const headers: Record<string, string> = place % 2 === 0 ? { prefer: 'wait' } : {};
        const response = await server
          .call('POST', '/predictions', request(place), headers)
          .catch(() => undefined);
        if (response?.status !== 201) continue;
        const { id } = (await response.json().catch(() => ({}))) as { id?: string };
        if (id !== undefined) accepted.push(id);
        if (accepted.length < total / 2) continue;
        modelsOfFirstLife ??= processesIn(home.path);
        killed ??= server.kill();
      }
    };
    await Promise.all(Array.from({ length: creators }, create));
    await killed;
  }

  /** A mix: quick ones, ones that stream for a while, and ones that leave a trace of having run. */
  function request(place: number) {
    if (place % 3 === 0) return { version: 'local/noop', input: { text: `${place}` } };
    if (place % 3 === 1) return { version: 'local/counter', input: { n: 10, delay: 0.02 } };
    return { version: 'local/diary', input: { file: join(home.path, 'diary'), line: `${place}` } };
  }

  async function allEnded(server: LocalServer): Promise<Seen[]> {
    return await vi.waitFor(
      async () => {
        const found: Seen[] = [];
        let next: string | null = '/predictions';
        while (next !== null) {
          const page: { results: Seen[]; next: string | null } = await server.json('GET', next);
          found.push(...page.results);
          next = page.next;
        }
        expect(found.filter(({ completed_at }) => completed_at === null)).toEqual([]);
        return found;
      },
      { timeout: 120_000, interval: 200 },
    );
  }

  it('loses no prediction that was accepted, and takes up those that had not ended', () => {
    expect(second.stdout()).toMatch(/Taking up \d+ predictions? that had not ended/);
    expect(accepted.length).toBeGreaterThanOrEqual(total / 2);
    expect(ended.map(({ id }) => id)).toEqual(expect.arrayContaining(accepted));
    expect(new Set(ended.map(({ id }) => id)).size).toBe(ended.length);
  });

  it('leaves no model process of the first life', () => {
    expect(modelsOfFirstLife.length).toBeGreaterThan(0);
    expect(running(modelsOfFirstLife)).toEqual([]);
  });

  it('ends each as it should: right, or lost after part of it was seen', async () => {
    const wrong = ended.filter(({ status, code }) => status !== 'succeeded' && code !== 'instance_lost');
    expect(wrong).toEqual([]);
    for (const { status, model, output, cost } of ended) {
      if (status === 'failed') {
        expect(model).toBe('local/counter');
        expect(cost.micro_usd).toBe(0);
      } else if (model === 'local/counter') expect(output).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
    const lines = (await readFile(join(home.path, 'diary'), 'utf8')).trim().split('\n');
    const diary = ended.filter(({ model }) => model === 'local/diary').map(({ output }) => output);
    expect([...new Set(lines)].sort()).toEqual(expect.arrayContaining(diary.sort()));
  });

  it('bills each once, at the price that it shows', async () => {
    expect((await second.stop()).code).toBe(0);
    const ledger = openLedger(home.path);
    try {
      await vi.waitFor(async () => expect((await ledger.records()).length).toBe(ended.length), 10_000);
      const records = await ledger.records();

      const billed = records.map(({ id, billedMs, costMicroUsd }) => [id, billedMs / 1000, costMicroUsd]);
      const shown = ended.map(({ id, cost }) => [id, cost.billed_seconds, cost.micro_usd]);
      expect(billed.sort()).toEqual(shown.sort());
      for (const name of ['noop', 'counter', 'diary', 'hello-world']) {
        const runs = ended.filter(({ model }) => model === `local/${name}`).length;
        expect(await ledger.runCount(`local/${name}`)).toBe(runs);
      }
    } finally {
      await ledger.close();
    }
  });
});

describe('kill -9', () => {
  let home: TestHome;
  beforeEach(async () => {
    home = await newHome();
  });
  afterEach(async () => home.remove());

  it('in the middle of a stream repeats nothing to a reader who comes back, and ends the stream', async () => {
    const first = await home.start();
    await first.push('test/models/counter');
    const body = { version: 'local/counter', input: { n: 1000, delay: 0.02 } };
    const { id, urls } = await first.json('POST', '/predictions', body);
    const before = [];
    try {
      for await (const event of readEvents(urls.stream)) {
        before.push(event);
        if (outputs(before).length === 5) void first.kill();
      }
    } catch {
      // The connection broke with the process.
    }

    const second = await home.start();
    const { urls: renewed } = await second.json('GET', `/predictions/${id}`);
    const after = await Array.fromAsync(readEvents(renewed.stream, { lastEventId: before.at(-1)?.id }));

    expect(outputs(before)).toEqual(outputs(before).map((_, index) => String(index)));
    expect(outputs(before).length).toBeGreaterThanOrEqual(5);
    expect(outputs(after)).toEqual([]);
    expect(after.map(({ event }) => event).filter((event) => event !== 'logs')).toEqual(['error', 'done']);
    expect(await second.json('GET', `/predictions/${id}`)).toMatchObject({ code: 'instance_lost' });
  });

  it('during the first start leaves a folder that the next start works on', async () => {
    const first = home.launch();
    await vi.waitFor(() => expect(first.stdout()).toContain('unpacking'), { timeout: 20_000, interval: 5 });
    await first.kill();

    const second = await home.start();

    expect(second.stdout()).toContain('"hello world"');
  });

  it('twice in a row while it runs still lets a prediction end well', async () => {
    const first = await home.start();
    await first.push('test/models/sleeper');
    const body = { version: 'local/sleeper', input: { seconds: 1.5 } };
    const { id } = await first.json('POST', '/predictions', body);
    let server = first;
    for (let kills = 0; kills < 2; kills += 1) {
      await vi.waitFor(
        async () => expect((await server.json('GET', `/predictions/${id}`)).status).toBe('processing'),
        { timeout: 30_000, interval: 20 },
      );
      await server.kill();
      server = await home.start();
    }

    await vi.waitFor(
      async () =>
        expect(await server.json('GET', `/predictions/${id}`)).toMatchObject({
          status: 'succeeded',
          output: 'slept 1.5 s',
        }),
      { timeout: 30_000, interval: 50 },
    );
  });
});
