import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signedUrlPath, signUrl, verifySignedUrl } from '../../services/core/signed-url.ts';
import { openFilesystemObjects } from '../../services/ports/objects/filesystem.ts';
import type { Objects } from '../../services/ports/objects/port.ts';
import { describeObjects } from './objects.ts';

const signingKey = 'a secret of the test';
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mimeo-objects-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const open = () => openFilesystemObjects({ root, baseUrl: 'http://127.0.0.1:1', signingKey });

describeObjects('file system', async () => {
  let objects = open();
  return {
    objects,
    fetch: (url, init) => serve(objects, new Request(url, init)),
    async reopen() {
      objects = open();
      return objects;
    },
    async dispose() {},
  };
});

/** What an api does with a signed URL, at its smallest. */
async function serve(objects: Objects, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const key = url.pathname.slice(signedUrlPath.length);
  const contentType = request.headers.get('content-type') ?? '';
  const verdict = verifySignedUrl(
    signingKey,
    {
      method: request.method === 'PUT' ? 'PUT' : 'GET',
      key,
      expires: url.searchParams.get('expires'),
      signature: url.searchParams.get('signature'),
      contentType,
    },
    Date.now(),
  );
  if (verdict !== 'valid') return new Response(verdict, { status: 403 });
  if (request.method === 'PUT') {
    await objects.put(key, Buffer.from(await request.arrayBuffer()), { contentType });
    return new Response(null, { status: 200 });
  }
  const found = await objects.get(key);
  if (found === undefined) return new Response(null, { status: 404 });
  return new Response(Readable.toWeb(found.body) as ReadableStream, {
    headers: { 'content-type': found.contentType },
  });
}

describe('objects on the file system', () => {
  const files = () =>
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name);

  it('leaves no file behind of what it did not store', async () => {
    const objects = open();
    const text = { contentType: 'text/plain', maxBytes: 10 };
    await objects.put('a', Readable.from([Buffer.alloc(11)]), text).catch(() => undefined);
    await objects.put('a', Buffer.alloc(11), text).catch(() => undefined);
    await objects.put('a', Readable.from([]), { contentType: 'x'.repeat(256) }).then(
      () => expect.unreachable(),
      (error) => expect(error.code).toBe('invalid_request'),
    );

    expect(files()).toEqual([]);
  });

  it('forgets what a process that died was about to store', async () => {
    open();
    writeFileSync(join(root, 'incoming', 'half'), 'half a');
    open();

    expect(files()).toEqual([]);
  });

  it('removes folders that have become empty', async () => {
    const objects = open();
    await objects.put('ada/job/out.png', Buffer.from('x'), { contentType: 'image/png' });
    await objects.put('ada/other', Buffer.from('x'), { contentType: 'image/png' });
    await objects.remove('ada/job/out.png');

    expect(readdirSync(join(root, 'objects', 'ada'))).toEqual(['~other']);
    await objects.remove('ada/other');
    expect(readdirSync(join(root, 'objects'))).toEqual([]);
  });

  it('begins a file with the bytes of the object, so that other programs can open it', async () => {
    await open().put('ada/out.png', Buffer.from('\x89PNG…'), { contentType: 'image/png' });

    expect(readFileSync(join(root, 'objects', 'ada', '~out.png')).toString()).toMatch(/^\x89PNG…/);
  });

  it('reads the object that it found though another takes its place meanwhile', async () => {
    const objects = open();
    await objects.put('a', Buffer.alloc(500_000, 'a'), { contentType: 'text/plain' });
    const found = await objects.get('a');
    await objects.put('a', Buffer.alloc(500_000, 'b'), { contentType: 'text/plain' });
    const chunks = await found?.body.toArray();

    expect(Buffer.concat(chunks ?? []).equals(Buffer.alloc(500_000, 'a'))).toBe(true);
  });

  it('signs URLs for where the api is reached now', async () => {
    let port = 1;
    const objects = openFilesystemObjects({
      root,
      baseUrl: () => `http://localhost:${port}/`,
      signingKey,
      now: () => 1_000_000_500,
    });
    port = 2;

    expect(await objects.signGet('ada/a.txt', { expiresSeconds: 10 })).toMatch(
      /^http:\/\/localhost:2\/v1\/objects\/ada\/a\.txt\?expires=1000011&signature=[\w-]{43}$/,
    );
  });
});

describe('the signature of a URL', () => {
  const signed = (request: Parameters<typeof signUrl>[2]) => {
    const url = new URL(signUrl('http://localhost', signingKey, request));
    return {
      method: request.method as 'GET' | 'HEAD' | 'PUT',
      key: url.pathname.slice(signedUrlPath.length),
      expires: url.searchParams.get('expires'),
      signature: url.searchParams.get('signature'),
      contentType: request.contentType,
    };
  };
  const get = signed({ method: 'GET', key: 'ada/a', expires: 1000 });
  const put = signed({ method: 'PUT', key: 'ada/a', expires: 1000, contentType: 'text/plain' });

  it('is valid until it expires', () => {
    for (const request of [get, put]) {
      expect(verifySignedUrl(signingKey, request, 999_999)).toBe('valid');
      expect(verifySignedUrl(signingKey, request, 1_000_000)).toBe('expired');
    }
  });

  it('is good for HEAD where it is for GET, and not where it is for PUT', () => {
    expect(verifySignedUrl(signingKey, { ...get, method: 'HEAD' }, 0)).toBe('valid');
    expect(verifySignedUrl(signingKey, { ...put, method: 'HEAD' }, 0)).toBe('invalid');
  });

  it('is invalid for anything else than was signed', () => {
    for (const request of [
      { ...get, key: 'ada/b' },
      { ...get, expires: '1001' },
      { ...get, expires: '1000.5' },
      { ...get, expires: 'never' },
      { ...get, expires: null },
      { ...get, signature: null },
      { ...get, signature: '' },
      { ...get, signature: 'A'.repeat(43) },
      { ...get, signature: `${get.signature}AAAA` },
      { ...get, signature: put.signature },
      { ...get, method: 'PUT' as const },
      { ...put, method: 'GET' as const },
      { ...put, contentType: 'text/html' },
      { ...put, contentType: undefined },
    ]) {
      expect(verifySignedUrl(signingKey, request, 0), JSON.stringify(request)).toBe('invalid');
    }
    expect(verifySignedUrl('another key', get, 0)).toBe('invalid');
  });
});
