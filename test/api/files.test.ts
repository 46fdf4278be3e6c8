import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileBody } from '../../services/api/routes/files.ts';
import { Files, fileObjectKey } from '../../services/data/files.ts';
import { removeExpiredFiles } from '../../services/sweeper/files.ts';
import { openApi, type TestApi } from '../support/api.ts';

let test: TestApi;
beforeEach(async () => {
  test = await openApi();
});
afterEach(async () => test.close());

const png = new File([new Uint8Array([137, 80, 78, 71])], 'a.png', { type: 'image/png' });

function form(parts: Readonly<Record<string, File | string>>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(parts)) data.append(name, value);
  return data;
}

async function post(body: FormData | string, headers: Record<string, string> = {}): Promise<Response> {
  return await test.api.app.request('/v1/files', {
    method: 'POST',
    headers: { authorization: `Bearer ${test.token}`, ...headers },
    body,
  });
}

async function upload(file: File = png, others: Readonly<Record<string, string>> = {}): Promise<FileBody> {
  const response = await post(form({ ...others, content: file }));
  expect(response.status, await response.clone().text()).toBe(201);
  return (await response.json()) as FileBody;
}

const objectOf = async (id: string) => test.objects.head(fileObjectKey({ account: 'local', id }));

describe('an uploaded file', () => {
  it('is described by what came', async () => {
    const file = await upload(png, { metadata: '{"a":[1]}' });

    const sha256 = createHash('sha256')
      .update(Buffer.from([137, 80, 78, 71]))
      .digest('hex');
    expect(file).toMatchObject({
      name: 'a.png',
      content_type: 'image/png',
      size: 4,
      etag: sha256,
      checksums: { sha256 },
      metadata: { a: [1] },
    });
    expect(Date.parse(file.expires_at) - Date.parse(file.created_at)).toBe(24 * 3600 * 1000);
    const read = await test.call('GET', `/v1/files/${file.id}`);
    expect(await read.json()).toEqual(file);
    expect(await (await test.call('GET', '/v1/files')).json()).toEqual({
      next: null,
      previous: null,
      results: [file],
    });
  });

  it('takes its metadata as fields of a form, too', async () => {
    const fields = {
      'metadata[origin]': 'test',
      'metadata[nested][a]': '1',
      'metadata[nested][b][c]': '2',
      'metadata[__proto__]': 'x',
      'metadata[list][]': 'one',
    };
    const data = form({ ...fields, content: png });
    data.append('metadata[list][]', 'two');

    const file = (await (await post(data)).json()) as FileBody;

    expect(Object.entries(file.metadata)).toEqual([
      ['origin', 'test'],
      ['nested', { a: '1', b: { c: '2' } }],
      ['__proto__', 'x'],
      ['list', ['one', 'two']],
    ]);
    expect(file.created_at).toMatch(/\.\d{6}Z$/);
  });

  it.each([
    [{ 'metadata[a]': '1', 'metadata[a][b]': '2' }, 422, 'two ways'],
    [{ 'metadata[a][b]': '1', 'metadata[a]': '2' }, 422, 'two ways'],
    [{ 'metadata[a]': '1', 'metadata[a][]': '2' }, 422, 'two ways'],
    [{ 'metadata[a': '1' }, 422, 'Must be like'],
    [{ [`metadata${'[a]'.repeat(9)}`]: '1' }, 422, 'levels'],
    [{ 'metadata[a]': 'x'.repeat(9000), 'metadata[b]': 'x'.repeat(9000) }, 413, 'in all'],
  ])('refuses metadata fields that are none: %#', async (fields, status, why) => {
    const response = await post(form({ ...fields, content: png }));

    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ detail: expect.stringContaining(why) });
  });

  it('may come before its metadata, under another name and type', async () => {
    const response = await post(form({ content: png, metadata: '{"late":true}', filename: 'other.bin' }));
    const typed = await upload(png, { type: 'text/plain; charset=utf-8' });

    expect(await response.json()).toMatchObject({ name: 'other.bin', metadata: { late: true } });
    expect(typed.content_type).toBe('text/plain; charset=utf-8');
  });

  it('is listed with the newest first, and page by page', async () => {
    const ids = [];
    for (let count = 0; count < 101; count++) {
      test.clock.now += 1;
      ids.unshift((await upload()).id);
    }
    const first = (await (await test.call('GET', '/v1/files')).json()) as {
      next: string;
      results: FileBody[];
    };
    const second = (await (await test.call('GET', first.next.replace(/^https?:\/\/[^/]+/, ''))).json()) as {
      next: null;
      results: FileBody[];
    };

    expect([...first.results, ...second.results].map(({ id }) => id)).toEqual(ids);
    expect(second.next).toBeNull();
  });

  it('is gone with its bytes when it is deleted', async () => {
    const { id, urls } = await upload();
    const response = await test.call('DELETE', `/v1/files/${id}`);

    expect([response.status, await response.text()]).toEqual([204, '']);
    expect((await test.call('GET', `/v1/files/${id}`)).status).toBe(404);
    expect((await test.call('DELETE', `/v1/files/${id}`)).status).toBe(404);
    expect((await test.api.app.request(urls.get)).status).toBe(404);
    expect(await objectOf(id)).toBeUndefined();
  });

  it('is gone after a day, and its bytes at the next sweep', async () => {
    const { id, urls } = await upload();
    const sweep = async () =>
      removeExpiredFiles({ files: new Files(test.table), objects: test.objects }, test.clock.now);
    test.clock.now += 24 * 3600 * 1000 - 1;
    expect(await sweep()).toBe(0);
    test.clock.now += 1;

    expect((await test.call('GET', `/v1/files/${id}`)).status).toBe(404);
    expect(await (await test.call('GET', '/v1/files')).json()).toMatchObject({ results: [] });
    expect((await test.api.app.request(urls.get)).status).toBe(401);
    expect(await objectOf(id)).toBeDefined();
    expect(await sweep()).toBe(1);
    expect(await objectOf(id)).toBeUndefined();
    expect(await sweep()).toBe(0);
  });

  it('is not there for another account', async () => {
    const { id } = await upload();
    const headers = { authorization: `Bearer ${await test.addAccount('other')}` };

    for (const method of ['GET', 'DELETE'])
      expect((await test.call(method, `/v1/files/${id}`, undefined, headers)).status).toBe(404);
    expect(await (await test.call('GET', '/v1/files', undefined, headers)).json()).toMatchObject({
      results: [],
    });
    expect((await test.call('GET', `/v1/files/${id}`)).status).toBe(200);
  });
});

describe('a download', () => {
  const text = new File(['0123456789'], 'digits.txt', { type: 'text/plain' });

  it('needs no token, and has type, length and a name', async () => {
    const { urls, etag } = await upload(text);
    const response = await test.api.app.request(urls.get);

    expect(await response.text()).toBe('0123456789');
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/plain',
      'content-length': '10',
      etag: `"${etag}"`,
      'content-disposition': `inline; filename="digits.txt"; filename*=UTF-8''digits.txt`,
      'x-content-type-options': 'nosniff',
      'access-control-allow-origin': '*',
    });
    const head = await test.api.app.request(urls.get, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '10', '']);
    const known = await test.api.app.request(urls.get, { headers: { 'if-none-match': `"${etag}"` } });
    expect(known.status).toBe(304);
    const preflight = await test.api.app.request(urls.get, { method: 'OPTIONS' });
    expect(preflight.headers.get('access-control-allow-headers')).toContain('range');
  });

  it.each([
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=4-', 206, '456789', 'bytes 4-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=8-99', 206, '89', 'bytes 8-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=-0', 416, '', 'bytes */10'],
    ['bytes=5-4', 200, '0123456789', null],
    ['bytes=0-1,3-4', 200, '0123456789', null],
    ['lines=1-2', 200, '0123456789', null],
  ])('of the range %s answers %i', async (range, status, body, contentRange) => {
    const { urls } = await upload(text);
    const response = await test.api.app.request(urls.get, { headers: { range } });

    expect([response.status, await response.text()]).toEqual([status, body]);
    expect(response.headers.get('content-range')).toBe(contentRange);
  });

  it.each(['text/html', 'image/svg+xml', 'application/octet-stream'])(
    'of %s is saved, not shown',
    async (type) => {
      const { urls } = await upload(new File(['<script>'], 'page', { type }));

      expect((await test.api.app.request(urls.get)).headers.get('content-disposition')).toMatch(
        /^attachment;/,
      );
    },
  );

  it.each([
    ['a"b\r\nset-cookie: x=1', 'a_bset-cookie: x=1'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\windows\\zażółć.png', 'za____.png'],
    ['..', 'file'],
  ])('keeps the name %j from doing harm', async (name, shown) => {
    const { urls } = await upload(png, { filename: name });
    const { headers } = await test.api.app.request(urls.get);

    expect(headers.get('set-cookie')).toBeNull();
    expect(headers.get('content-disposition')).toContain(`filename="${shown}"`);
  });

  it.each([
    ['owner', 'other'],
    ['expiry', '99999999999'],
    ['expiry', 'x'],
    ['signature', 'AAAA'],
  ])('with another %s is refused', async (parameter, value) => {
    const { urls } = await upload(text);
    const url = new URL(urls.get);
    url.searchParams.set(parameter, value);

    expect((await test.api.app.request(url)).status).toBe(401);
  });

  it('of one file is not a download of another', async () => {
    const [one, other] = [await upload(text), await upload(png)];

    expect((await test.api.app.request(one.urls.get.replace(one.id, other.id))).status).toBe(401);
  });
});

describe('an upload is refused', () => {
  const refused = async (response: Response) => [
    response.status,
    ((await response.json()) as { detail: string }).detail,
  ];

  it('without a token', async () => {
    expect((await post(form({ content: png }), { authorization: '' })).status).toBe(401);
  });

  it('without a file, with two, or as something else than multipart/form-data', async () => {
    const twice = form({ content: png });
    twice.append('content', png);

    expect(await refused(await post(form({ metadata: '{}' })))).toEqual([
      422,
      expect.stringContaining('content'),
    ]);
    expect(await refused(await post(twice))).toEqual([422, expect.stringContaining('two')]);
    expect((await post('{}', { 'content-type': 'application/json' })).status).toBe(415);
    expect((await post('x', { 'content-type': 'multipart/form-data; boundary=b' })).status).toBe(400);
    expect(await (await test.call('GET', '/v1/files')).json()).toMatchObject({ results: [] });
  });

  it.each(['[1]', '{', '"text"', '{"a":"\\ud800"}'])(
    'with the metadata %s, and keeps nothing',
    async (metadata) => {
      const response = await post(form({ content: png, metadata }));

      expect(response.status).toBe(422);
      expect(await (await test.call('GET', '/v1/files')).json()).toMatchObject({ results: [] });
    },
  );

  it('above the size that is allowed, by its length or as it comes', async () => {
    const large = new File([new Uint8Array(1_000_001)], 'large');
    const stream = new Response(form({ content: large }));
    const announced = await post(form({ content: png }), { 'content-length': '9000000' });

    expect(await refused(await post(form({ content: large })))).toEqual([
      413,
      expect.stringContaining('MIMEO_MAX_FILE_MB'),
    ]);
    expect(announced.status).toBe(413);
    const counted = await post(await stream.text(), {
      'content-type': stream.headers.get('content-type') ?? '',
    });
    expect(counted.status).toBe(413);
    expect((await upload(new File([new Uint8Array(1_000_000)], 'just right'))).size).toBe(1_000_000);
  });
});

it('an upload whose process died before it was on record is removed when its time would be over', async () => {
  const { write } = test.table;
  const { remove } = test.objects;
  // As if all ended between the bytes and the record.
  test.table.write = async (ops, durability) => {
    if (ops.some((op) => op.op === 'put' && op.item.keys?.listing)) throw new Error('killed');
    await write(ops, durability);
  };
  let key = '';
  test.objects.remove = async (object) => {
    key = object;
    throw new Error('killed');
  };
  expect((await post(form({ content: png }))).status).toBe(500);
  test.table.write = write;
  test.objects.remove = remove;
  const id = key.split('/').at(-1) ?? '';
  expect(await objectOf(id)).toBeDefined();
  expect((await test.call('GET', `/v1/files/${id}`)).status).toBe(404);
  expect(await (await test.call('GET', '/v1/files')).json()).toMatchObject({ results: [] });

  test.clock.now += 24 * 3600 * 1000;
  const parts = { files: new Files(test.table), objects: test.objects };
  expect(await removeExpiredFiles(parts, test.clock.now)).toBe(1);

  expect(await objectOf(id)).toBeUndefined();
  expect(await removeExpiredFiles(parts, test.clock.now)).toBe(0);
});

it('an upload that is refused after its bytes came leaves no record', async () => {
  expect((await post(form({ content: png, metadata: '[1]' }))).status).toBe(422);
  test.clock.now += 24 * 3600 * 1000;

  expect((await new Files(test.table).expired(test.clock.now, { limit: 10 })).items).toEqual([]);
});

it('an upload whose sender goes away leaves nothing behind', async () => {
  const server = createAdaptorServer({ fetch: test.api.app.fetch }) as Server;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stored: string[] = [];
  const removed: string[] = [];
  const { put, remove } = test.objects;
  test.objects.put = async (key, ...rest) => {
    stored.push(key);
    return await put(key, ...rest);
  };
  test.objects.remove = async (key) => {
    await remove(key);
    removed.push(key);
  };
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write(
    'POST /v1/files HTTP/1.1\r\nhost: api\r\ncontent-type: multipart/form-data; boundary=b\r\n' +
      `authorization: Bearer ${test.token}\r\ncontent-length: 500000\r\n\r\n` +
      '--b\r\ncontent-disposition: form-data; name="content"; filename="f"\r\n\r\nthe beginning',
  );
  await expect.poll(() => stored.length).toBe(1);
  client.destroy();

  await expect.poll(() => removed).toEqual(stored);
  expect(await test.objects.head(String(stored[0]))).toBeUndefined();
  expect(await (await test.call('GET', '/v1/files')).json()).toMatchObject({ results: [] });
  server.closeAllConnections();
  server.close();
});
