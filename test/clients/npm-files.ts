import Replicate from 'replicate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningPlatform, StartPlatform } from '../support/local-server.ts';

/** Files by the npm client. */
export function describeNpmFiles(start: StartPlatform): void {
  let server: RunningPlatform;
  let replicate: Replicate;

  beforeAll(async () => {
    server = await start();
    await server.push('test/models/file-size');
    replicate = new Replicate({ auth: server.token, baseUrl: `${server.url}/v1` });
  });
  afterAll(async () => server?.stop());

  describe('files', () => {
    it.each([
      ['a Blob', new Blob(['abc'], { type: 'text/plain' }), 'text/plain', /^blob_/],
      ['a File', new File(['abc'], 'a.txt', { type: 'text/plain' }), 'text/plain', /^a\.txt$/],
      ['a Buffer', Buffer.from('abc'), 'application/octet-stream', /^buffer_/],
    ])('are created from %s, read, listed and deleted', async (_, content, type, name) => {
      const file = await replicate.files.create(content, { origin: 'test' });

      expect(file).toMatchObject({
        name: expect.stringMatching(name),
        content_type: type,
        size: 3,
        metadata: { origin: 'test' },
        checksums: { sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' },
      });
      expect(await (await fetch(file.urls.get)).text()).toBe('abc');
      expect(await replicate.files.get(file.id)).toEqual(file);
      expect((await replicate.files.list()).results).toContainEqual(file);
      await replicate.files.delete(file.id);
      await expect(replicate.files.get(file.id)).rejects.toMatchObject({ name: 'ApiError' });
    });
  });

  describe('an input', () => {
    it.each([
      ['a Blob', new Blob(['abc'])],
      ['a Buffer', Buffer.from('abc')],
      ['a data URL', 'data:text/plain;base64,YWJj'],
    ])('may be %s', async (_, file) => {
      const before = (await replicate.files.list()).results.length;

      expect(await replicate.run('local/file-size', { input: { file } })).toBe('3 616263');
      const uploaded = (await replicate.files.list()).results.length - before;
      expect(uploaded).toBe(typeof file === 'string' ? 0 : 1);
    });
  });
}
