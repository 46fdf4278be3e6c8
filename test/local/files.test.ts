import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { allEvents, outputs } from '../support/sse.ts';

let home: TestHome;
let server: LocalServer;
beforeAll(async () => {
  home = await newHome();
  server = await home.start();
  for (const name of [
    'file-size',
    'file-out',
    'file-list',
    'file-object',
    'file-stream',
    'file-large',
    'noop',
  ])
    await server.push(`test/models/${name}`);
});
afterAll(async () => home.remove());

async function run(model: string, input: object) {
  const path = `/models/local/${model}/predictions`;
  const prediction = await server.json('POST', path, { input }, { prefer: 'wait' });
  expect(prediction.error).toBeNull();
  return prediction;
}

async function upload(file: File): Promise<string> {
  const body = new FormData();
  body.append('content', file);
  const headers = { authorization: `Bearer ${server.token}` };
  const response = await fetch(`${server.url}/v1/files`, { method: 'POST', headers, body });
  expect(response.status).toBe(201);
  return ((await response.json()) as { urls: { get: string } }).urls.get;
}

async function textAt(url: string): Promise<string> {
  expect(url).toMatch(new RegExp(`^${server.url}/v1/objects/local/jobs/`));
  const response = await fetch(url);
  expect(response.status).toBe(200);
  return await response.text();
}

describe('an input that is a file', () => {
  it('may be an uploaded file, by its URL', async () => {
    const bytes = new Uint8Array(3_000_000).fill(7);
    const file = await upload(new File([bytes], 'large.bin'));

    expect((await run('file-size', { file })).output).toBe('3000000 0707070707070707');
  });

  it('may be a data URL', async () => {
    expect((await run('file-size', { file: 'data:text/plain;base64,YWJj' })).output).toBe('3 616263');
  });
});

describe('an output that is a file', () => {
  it('is a URL with its type and length, made anew for each reader', async () => {
    const { id, output } = await run('file-out', { text: 'zażółć', name: 'a.txt' });
    const response = await fetch(output);

    expect(await response.text()).toBe('zażółć');
    expect(response.headers.get('content-type')).toBe('text/plain');
    expect(response.headers.get('content-length')).toBe('10');
    expect((await fetch(output, { headers: { range: 'bytes=-2' } })).status).toBe(206);
    const again = await server.json('GET', `/predictions/${id}`);
    expect(await textAt(again.output)).toBe('zażółć');
    const expires = Number(new URL(again.output).searchParams.get('expires'));
    expect(expires - Date.now() / 1000).toBeLessThan(3601);
  });

  it('may be larger than an answer of Cog can carry', async () => {
    const { output } = await run('file-large', { megabytes: 200, text: 'begin' });
    const response = await fetch(output);
    let bytes = 0;
    for await (const chunk of response.body ?? []) bytes += chunk.length;

    expect(bytes).toBe(200 * 1024 * 1024);
    expect(response.headers.get('content-length')).toBe(String(bytes));
    expect(response.headers.get('content-type')).toBe('image/png');
    expect(await (await fetch(output, { headers: { range: 'bytes=0-4' } })).text()).toBe('begin');
  });

  it('is a URL in a list, in order', async () => {
    const { output } = await run('file-list', { n: 4 });

    expect(await Promise.all(output.map(textAt))).toEqual(['file 0', 'file 1', 'file 2', 'file 3']);
  });

  it('is a URL inside an object, where a text that looks like one stays as it is', async () => {
    const { output } = await run('file-object', {});
    const response = await fetch(output.picture);

    expect(Buffer.from(await response.arrayBuffer()).toString('latin1')).toBe('\x89PNG');
    expect(response.headers.get('content-type')).toBe('image/png');
    expect(output.note).toBe('data:text/plain;base64,bm90ZQ==');
    const text = 'data:text/plain;base64,YWJj';
    expect((await run('noop', { text })).output).toBe(text);
  });

  it('is a URL for each element of an iterator, in the stream as well', async () => {
    const { output, urls } = await run('file-stream', { n: 3, delay: 0 });
    const streamed = outputs(await allEvents(urls.stream));

    const texts = ['file 0', 'file 1', 'file 2'];
    expect(await Promise.all(output.map(textAt))).toEqual(texts);
    expect(await Promise.all(streamed.map(textAt))).toEqual(texts);
  });
});
