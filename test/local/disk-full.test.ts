import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLedger } from '../support/ledger.ts';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { canMakeSmallDisk, makeSmallDisk, type SmallDisk } from '../support/small-disk.ts';

const hasDisk = canMakeSmallDisk();
if (!hasDisk) console.warn('No small file system can be made here: what a full disk does is not tested.');

describe.skipIf(!hasDisk)('a full disk', () => {
  let disk: SmallDisk | undefined;
  let home: TestHome;
  let server: LocalServer;

  beforeAll(async () => {
    disk = makeSmallDisk(96);
    home = await newHome({ parent: disk?.path });
    // No more at a time than there are, so that a refused one that kept its place would be noticed.
    server = await home.start({ MIMEO_MAX_CONCURRENT_PER_ACCOUNT: '1' });
    for (const name of ['noop', 'sleeper', 'file-out']) await server.push(`test/models/${name}`);
  });
  afterAll(async () => {
    disk?.free();
    await home?.remove();
    disk?.remove();
  });

  async function whileFull<T>(work: () => Promise<T>): Promise<T> {
    disk?.fill();
    try {
      return await work();
    } finally {
      disk?.free();
    }
  }

  async function create(name: string, input: object): Promise<{ readonly id: string }> {
    return await server.json('POST', '/predictions', { version: `local/${name}`, input });
  }

  async function statusOf(id: string): Promise<string> {
    return (await server.json('GET', `/predictions/${id}`)).status;
  }

  const marker = (name: string) => ({ version: 'local/noop', input: { text: name } });

  it.each([
    ['a prediction', () => server.call('POST', '/predictions', marker('refused'))],
    [
      'a prediction that is waited for',
      () => server.call('POST', '/predictions', marker('refused'), { prefer: 'wait' }),
    ],
    [
      'a prediction whose input is large',
      () => server.call('POST', '/predictions', marker(`refused${'x'.repeat(20_000)}`)),
    ],
    [
      'a file',
      async () => {
        const body = new FormData();
        body.set('content', new Blob(['x'.repeat(100_000)]), 'large.txt');
        const headers = { authorization: `Bearer ${server.token}` };
        return await fetch(`${server.url}/v1/files`, { method: 'POST', headers, body });
      },
    ],
  ])('refuses %s as unavailable, and says how to mend it', async (_, send) => {
    const response = await whileFull(send);

    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toMatchObject({ code: 'unavailable' });
    const { results } = await server.json('GET', '/predictions');
    expect(JSON.stringify(results)).not.toContain('refused');
    expect((await server.json('GET', '/files')).results).toEqual([]);
    expect((await server.json('POST', '/predictions', marker('again'), { prefer: 'wait' })).status).toBe(
      'succeeded',
    );
  });

  it('names what is missing and needs no restart', async () => {
    const problem = await whileFull(async () =>
      (await server.call('POST', '/predictions', marker('refused'))).json(),
    );

    expect((problem as { detail: string }).detail).toMatch(/disk .* full[\s\S]*npx mimeo doctor/);
  });

  it('refuses a push, which works when it is sent again', async () => {
    const push = () => server.push('test/models/counter', 'noop');

    await expect(whileFull(push)).rejects.toThrow(/disk .* full/);
    const { version } = await push();
    await server.push('test/models/noop');
    expect(version).toMatch(/^[0-9a-f]{64}$/);
  });

  it('loses no end: what ended meanwhile is told as soon as there is room', async () => {
    const { id } = await create('sleeper', { seconds: 1 });
    await expect.poll(async () => statusOf(id), { timeout: 30_000 }).toBe('processing');
    await whileFull(async () => {
      // The model is done after a second.
      await new Promise((done) => setTimeout(done, 1500));
      expect(await statusOf(id)).toBe('processing');
    });

    expect(await server.endOf(id)).toMatchObject({ status: 'succeeded', output: 'slept 1 s' });
  });

  it('fails no prediction whose output is a file', async () => {
    const input = { text: 'x'.repeat(50_000), name: 'disk-full.txt' };
    await server.endOf((await create('file-out', input)).id);
    const { id } = await create('file-out', input);
    await whileFull(async () => new Promise((done) => setTimeout(done, 3000)));

    const { output, status } = await server.endOf(id);
    expect(status).toBe('succeeded');
    expect(await (await fetch(output)).text()).toBe(input.text);
  });

  it('keeps the next start from beginning, and says so', async () => {
    await server.stop();
    const { code, stderr } = await whileFull(async () => home.launch().ended);
    expect(code).toBe(1);
    expect(stderr).toMatch(/mimeo\.db .*The disk is full\. Free some disk space/);

    server = await home.start();
    const { results } = await server.json('GET', '/predictions');
    await server.stop();
    const ledger = openLedger(home.path);
    await expect.poll(async () => (await ledger.records()).length).toBe(results.length);
    await ledger.close();
  });
});
