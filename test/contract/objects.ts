import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProblemError } from '../../services/core/errors.ts';
import { maxKeyBytes, type Objects } from '../../services/ports/objects/port.ts';

export interface ObjectsUnderTest {
  readonly objects: Objects;
  /** Sends a request to a signed URL, as any HTTP client would. */
  fetch(
    url: string,
    init?: { method: string; headers?: Record<string, string>; body?: string },
  ): Promise<Response>;
  /** Opens the objects again, as a new process would; for those that a process owns. */
  reopen?(): Promise<Objects>;
  dispose(): Promise<void>;
}

/**
 * Everything that `Objects` promises. The tests share no key, so that they may share a bucket.
 * @param options.reopens whether the objects belong to one process, which may be started again
 */
export function describeObjects(
  name: string,
  makeObjects: () => Promise<ObjectsUnderTest>,
  { reopens = true }: { readonly reopens?: boolean } = {},
): void {
  describe(`the objects contract: ${name}`, () => {
    let underTest: ObjectsUnderTest;
    let objects: Objects;
    let prefix: string;

    beforeEach(async () => {
      underTest = await makeObjects();
      objects = underTest.objects;
      prefix = `test/${randomUUID()}`;
    });
    afterEach(() => underTest.dispose());

    const text = { contentType: 'text/plain' };
    const key = (name: string) => `${prefix}/${name}`;
    const put = (name: string, body: string) => objects.put(key(name), Buffer.from(body), text);
    const read = async (
      name: string,
      range?: { start: number; end?: number },
    ): Promise<string | undefined> => {
      const found = await objects.get(key(name), { range });
      return found === undefined ? undefined : (await buffer(found.body)).toString();
    };

    describe('storing', () => {
      it('gives bytes back as they were put, with their size and content type', async () => {
        const bytes = randomBytes(300_000);
        const contentType = 'image/png; name="a b"';
        expect(await objects.put(key('a.png'), bytes, { contentType })).toEqual({
          size: 300_000,
          contentType,
        });
        const found = await objects.get(key('a.png'));

        expect(found).toMatchObject({ size: 300_000, contentType });
        expect(found && (await buffer(found.body)).equals(bytes)).toBe(true);
        expect(await objects.head(key('a.png'))).toEqual({ size: 300_000, contentType });
      });

      it('takes a stream, in whatever pieces it comes', async () => {
        const pieces = ['one ', '', 'two ', 'three'].map((piece) => Buffer.from(piece));
        expect(await objects.put(key('s'), Readable.from(pieces), text)).toEqual({ size: 13, ...text });

        expect(await read('s')).toBe('one two three');
      });

      it('takes an object without bytes', async () => {
        await put('empty', '');
        await objects.put(key('empty-stream'), Readable.from([]), text);

        for (const each of ['empty', 'empty-stream']) {
          expect(await objects.head(key(each))).toEqual({ size: 0, ...text });
          expect(await read(each)).toBe('');
        }
      });

      it('replaces an object of the same key, content type and all', async () => {
        await put('a', 'a first, longer text');
        await objects.put(key('a'), Buffer.from('{}'), { contentType: 'application/json' });

        expect(await read('a')).toBe('{}');
        expect(await objects.head(key('a'))).toEqual({ size: 2, contentType: 'application/json' });
      });

      it('has nothing where nothing was put', async () => {
        await put('a/b', 'x');

        for (const each of ['none', 'a', 'a/b/c', 'a/none']) {
          expect(await objects.get(key(each))).toBeUndefined();
          expect(await objects.head(key(each))).toBeUndefined();
        }
      });

      it('an object and others below its key are apart', async () => {
        await put('a', 'above');
        await put('a/b', 'below');
        await put('a/b/c', 'deeper');
        await objects.remove(key('a/b'));

        expect([await read('a'), await read('a/b'), await read('a/b/c')]).toEqual([
          'above',
          undefined,
          'deeper',
        ]);
      });

      it('removes an object; removing what is not there is no error', async () => {
        await put('a', 'x');
        await objects.remove(key('a'));
        await objects.remove(key('a'));

        expect(await read('a')).toBeUndefined();
      });

      it('of many who store under one key, one is kept whole', async () => {
        const bodies = Array.from({ length: 20 }, (_, at) => String(at % 10).repeat(10_000 + at));
        await Promise.all(bodies.map((body) => put('a', body)));

        expect(bodies).toContain(await read('a'));
      });

      it('storing and removing side by side fails neither', async () => {
        await Promise.all(
          ['a', 'b', 'c'].map(async (each) => {
            for (let round = 0; round < 100; round += 1) {
              await put(`deep/er/${each}`, 'x');
              await objects.remove(key(`deep/er/${each}`));
            }
          }),
        );

        expect(await read('deep/er/a')).toBeUndefined();
      });
    });

    describe('whole or not at all', () => {
      async function* broken() {
        yield Buffer.from('begun');
        throw new Error('the sender is gone');
      }

      it('keeps nothing of a stream that breaks', async () => {
        await expect(objects.put(key('new'), Readable.from(broken()), text)).rejects.toThrow(
          'the sender is gone',
        );

        expect(await read('new')).toBeUndefined();
      });

      it('keeps the object before it when a stream breaks', async () => {
        await put('a', 'before');
        await expect(objects.put(key('a'), Readable.from(broken()), text)).rejects.toThrow(
          'the sender is gone',
        );

        expect(await read('a')).toBe('before');
      });

      it('refuses what is longer than it may be, as soon as that is known', async () => {
        let pulled = 0;
        async function* endless() {
          for (;;) {
            pulled += 1;
            yield Buffer.alloc(1000);
          }
        }
        for (const body of [Readable.from(endless()), Buffer.alloc(10_001)]) {
          const refusal = objects.put(key('a'), body, { ...text, maxBytes: 10_000 });
          await expect(refusal).rejects.toThrow(ProblemError);
          await expect(refusal).rejects.toMatchObject({ code: 'payload_too_large' });
        }

        expect(pulled).toBeLessThan(500);
        expect(await read('a')).toBeUndefined();
      });

      it('takes what is exactly as long as it may be', async () => {
        await objects.put(key('a'), Readable.from([Buffer.alloc(10)]), { ...text, maxBytes: 10 });
        await objects.put(key('b'), Buffer.alloc(10), { ...text, maxBytes: 10 });

        expect((await objects.head(key('a')))?.size).toBe(10);
        expect((await objects.head(key('b')))?.size).toBe(10);
      });
    });

    describe('ranges', () => {
      it('are inclusive at both ends, and the size is that of the whole object', async () => {
        await put('a', '0123456789');
        const found = await objects.get(key('a'), { range: { start: 2, end: 4 } });

        expect(found).toMatchObject({ size: 10, ...text });
        expect(found && (await buffer(found.body)).toString()).toBe('234');
        expect(await read('a', { start: 0, end: 0 })).toBe('0');
        expect(await read('a', { start: 9, end: 9 })).toBe('9');
      });

      it('without an end, or with one beyond it, go to the end', async () => {
        await put('a', '0123456789');

        expect(await read('a', { start: 7 })).toBe('789');
        expect(await read('a', { start: 7, end: 1000 })).toBe('789');
      });

      it('that have no byte of the object are refused', async () => {
        await put('a', '0123456789');
        await put('empty', '');

        for (const range of [{ start: 10 }, { start: 10, end: 20 }, { start: 5, end: 4 }, { start: -1 }]) {
          await expect(read('a', range)).rejects.toMatchObject({ code: 'invalid_request' });
        }
        await expect(read('empty', { start: 0 })).rejects.toMatchObject({ code: 'invalid_request' });
      });
    });

    describe('keys', () => {
      const bad = [
        '',
        '/',
        '/etc/passwd',
        'a/',
        'a//b',
        '.',
        '..',
        '../a',
        'a/../b',
        'a/..',
        'a/./b',
        'a b',
        'a\\b',
        'a%2fb',
        'ä',
        'a\0',
        'a\n',
        '~a',
        'a?b',
        'a:b',
        `${'x/'.repeat(maxKeyBytes / 2)}xx`,
      ];

      it('are segments of letters, digits, dots, underscores and hyphens', async () => {
        for (const each of [
          'A',
          'z.9',
          '.hidden',
          '...',
          '-',
          '_',
          'a..b',
          'x'.repeat(200),
          '1/2/3/4/5/6/7/8/9',
        ]) {
          await put(each, each);
          expect(await read(each)).toBe(each);
        }
      });

      it.each(bad)('are refused everywhere where they are anything else: %j', async (name) => {
        const refused = { name: 'ProblemError', code: 'invalid_request' };
        await expect(objects.put(name, Buffer.from('x'), text)).rejects.toMatchObject(refused);
        await expect(objects.get(name)).rejects.toMatchObject(refused);
        await expect(objects.head(name)).rejects.toMatchObject(refused);
        await expect(objects.remove(name)).rejects.toMatchObject(refused);
        await expect(objects.signGet(name, { expiresSeconds: 10 })).rejects.toMatchObject(refused);
        await expect(objects.signPut(name, { expiresSeconds: 10, ...text })).rejects.toMatchObject(refused);
      });
    });

    describe('signed URLs', () => {
      it('read an object without a token', async () => {
        await put('a.txt', 'hello');
        const response = await underTest.fetch(await objects.signGet(key('a.txt'), { expiresSeconds: 60 }));

        expect(response.status).toBe(200);
        expect(response.headers.get('content-type')).toBe('text/plain');
        expect(await response.text()).toBe('hello');
      });

      it('store an object by HTTP PUT, with the content type that was signed', async () => {
        const url = await objects.signPut(key('a'), { expiresSeconds: 60, ...text });
        const send = (contentType: string) =>
          underTest.fetch(url, { method: 'PUT', headers: { 'content-type': contentType }, body: 'hello' });

        expect((await send('text/html')).status).toBe(403);
        expect(await read('a')).toBeUndefined();
        expect((await send('text/plain')).status).toBe(200);
        expect(await read('a')).toBe('hello');
        expect(await objects.head(key('a'))).toEqual({ size: 5, ...text });
      });

      it('are good for their key and method only', async () => {
        await put('a', 'hello');
        await put('b', 'secret');
        const url = await objects.signGet(key('a'), { expiresSeconds: 60 });

        expect((await underTest.fetch(url.replace(/\/a\?/, '/b?'))).status).toBe(403);
        const writing = { method: 'PUT', headers: { 'content-type': 'text/plain' }, body: 'mine now' };
        expect((await underTest.fetch(url, writing)).status).toBe(403);
        expect(await read('a')).toBe('hello');
      });
    });

    if (reopens)
      it('what was stored is there after a restart', async () => {
        if (underTest.reopen === undefined) throw new Error('The objects cannot be opened again');
        await put('a', 'kept');
        const url = await objects.signGet(key('a'), { expiresSeconds: 60 });
        objects = await underTest.reopen();

        expect(await read('a')).toBe('kept');
        expect((await underTest.fetch(url)).status).toBe(200);
      });
  });
}
