import { chmod, mkdir, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';
import { describe, expect, test } from 'vitest';
import { digestFolder, listFolder } from '../../services/registrar/digest.ts';
import { packFolder } from '../../services/registrar/pack.ts';
import { unpack } from '../../services/registrar/unpack.ts';
import { temporaryFolder } from './registrar-home.ts';

describe('packing a folder', () => {
  test('what is packed and unpacked is the same version', async () => {
    const folder = await writeFolder({
      'cog.yaml': 'run: run.py:Runner',
      'run.py': 'print()',
      'a/very/deep/file.bin': 'x'.repeat(100_000),
      '@strange name': 'at',
      '-x': 'dash',
    });
    await mkdir(join(folder, 'outputs'));
    await chmod(join(folder, 'run.py'), 0o755);
    await symlink('deep/file.bin', join(folder, 'a/very/link'));
    const target = await temporaryFolder();

    const { stream, files, bytes } = await packFolder(folder);
    await unpack(stream, target);

    expect(await listFolder(target)).toEqual(await listFolder(folder));
    expect(await digestFolder(target, '1')).toBe(await digestFolder(folder, '1'));
    expect(files).toBe(7);
    expect(bytes).toBe('run: run.py:Runner'.length + 'print()'.length + 100_000 + 2 + 4);
  });

  test('caches, version control and what .dockerignore names stay behind', async () => {
    const folder = await writeFolder({
      'cog.yaml': 'run: run.py:Runner',
      '.dockerignore': '*\n!src\nsrc/secret.txt',
      'data.bin': 'x',
      'src/run.py': '',
      'src/secret.txt': '',
      'src/__pycache__/run.pyc': '',
      '.git/HEAD': '',
      '.venv/bin/python': '',
      'node_modules/x/index.js': '',
      '.cog/openapi_schema.json': '{}',
    });
    const target = await temporaryFolder();

    await unpack((await packFolder(folder)).stream, target);

    expect((await listFolder(target)).map(({ path }) => path)).toEqual(['cog.yaml', 'src/run.py']);
  });

  test('a folder without cog.yaml is refused', async () => {
    const folder = await writeFolder({ 'run.py': '' });

    await expect(packFolder(folder)).rejects.toMatchObject({
      code: 'invalid_model',
      message: expect.stringContaining(`${folder} has no cog.yaml`),
    });
  });

  test('a link that leads out of the folder is refused by name', async () => {
    const folder = await writeFolder({ 'cog.yaml': '' });
    await symlink('/etc/passwd', join(folder, 'weights'));

    await expect(packFolder(folder)).rejects.toThrow('weights links to /etc/passwd, outside the folder');
  });

  test('a folder above the limit is refused before anything is sent', async () => {
    const folder = await writeFolder({ 'cog.yaml': '', 'weights.bin': 'x'.repeat(2048) });

    await expect(packFolder(folder, 1024)).rejects.toMatchObject({ code: 'payload_too_large' });
  });
});

describe('the id of a version', () => {
  test('does not depend on times', async () => {
    const folder = await writeFolder({ 'cog.yaml': '', 'run.py': 'a' });
    const before = await digestFolder(folder, '1');

    await utimes(join(folder, 'run.py'), 1, 1);

    expect(await digestFolder(folder, '1')).toBe(before);
    expect(before).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each([
    ['a content', (folder: string) => writeFile(join(folder, 'run.py'), 'b')],
    ['the executable bit', (folder: string) => chmod(join(folder, 'run.py'), 0o755)],
    ['a new file', (folder: string) => writeFile(join(folder, 'more.py'), '')],
    ['a new empty folder', (folder: string) => mkdir(join(folder, 'outputs'))],
    ['a new link', (folder: string) => symlink('run.py', join(folder, 'link'))],
  ])('changes with %s', async (_, change) => {
    const folder = await writeFolder({ 'cog.yaml': '', 'run.py': 'a' });
    const before = await digestFolder(folder, '1');

    await change(folder);

    expect(await digestFolder(folder, '1')).not.toBe(before);
  });

  test('changes with the Cog that models get by default', async () => {
    const folder = await writeFolder({ 'cog.yaml': '' });

    expect(await digestFolder(folder, '1')).not.toBe(await digestFolder(folder, '2'));
  });

  test('names and contents cannot be shifted into one another', async () => {
    const one = await writeFolder({ a: '', 'b","c': '' });
    const two = await writeFolder({ 'a","b': '', c: '' });

    expect(await digestFolder(one, '1')).not.toBe(await digestFolder(two, '1'));
  });
});

describe('unpacking what a stranger sent', () => {
  const file = (path: string, content = 'x') => ({ type: 'File' as const, path, content });
  const link = (path: string, linkpath: string) => ({ type: 'SymbolicLink' as const, path, linkpath });
  const hardLink = (path: string, linkpath: string) => ({ type: 'Link' as const, path, linkpath });

  test.each([
    ['a path that climbs out', [file('../evil')], 'outside the model'],
    ['a path that climbs out in the middle', [file('a/../../evil')], 'outside the model'],
    ['an absolute path', [file('/tmp/evil')], 'outside the model'],
    ['a link to an absolute path', [link('a', '/etc')], 'a links to /etc, outside'],
    ['a link that climbs out', [link('a/b', '../../etc')], 'a/b links to ../../etc, outside'],
    [
      'a link that climbs out by way of another',
      [link('p/q/r/up', '../..'), link('z', 'p/q/r/up/../..')],
      'z links to p/q/r/up/../.., outside',
    ],
    ['a hard link that climbs out', [hardLink('a', '../etc/passwd')], 'outside the folder'],
    ['a device', [{ type: 'CharacterDevice' as const, path: 'null' }], 'neither file, folder nor link'],
    ['a fifo', [{ type: 'FIFO' as const, path: 'pipe' }], 'neither file, folder nor link'],
  ])('%s is refused', async (_, entries, message) => {
    const parent = await temporaryFolder();
    const target = join(parent, 'target');
    await mkdir(target);

    await expect(unpack(tarOf(entries), target)).rejects.toMatchObject({
      code: 'invalid_model',
      message: expect.stringContaining(message),
    });
    expect(await readdir(parent)).toEqual(['target']);
  });

  test('a file that would be written through a link is refused', async () => {
    const target = await temporaryFolder();
    await mkdir(join(target, 'real'));

    await expect(unpack(tarOf([link('a', 'real'), file('a/x', 'new')]), target)).rejects.toMatchObject({
      code: 'invalid_model',
    });
    expect(await readdir(join(target, 'real'))).toEqual([]);
  });

  test('more than the limit is refused, however well it was compressed', async () => {
    const bomb = tarOf([file('zeros', '\0'.repeat(1_000_000))]);

    await expect(unpack(bomb, await temporaryFolder(), { maxBytes: 500_000 })).rejects.toMatchObject({
      code: 'payload_too_large',
    });
  });

  test.each([
    ['no archive', Buffer.from('this is not a tar file at all'.repeat(100))],
    ['nothing', Buffer.alloc(0)],
    ['half an archive', gzipSync(Buffer.alloc(5000, 'x')).subarray(0, 40)],
  ])('%s is refused', async (_, bytes) => {
    await expect(unpack(Readable.from([bytes]), await temporaryFolder())).rejects.toMatchObject({
      code: 'invalid_model',
      message: expect.stringContaining('not a readable tar.gz'),
    });
  });

  test('an archive that breaks off in the middle of a file is refused', async () => {
    const whole = Buffer.concat(tarBlocks([file('a', 'x'.repeat(4000))]));

    await expect(
      unpack(Readable.from([whole.subarray(0, 2000)]), await temporaryFolder()),
    ).rejects.toMatchObject({ code: 'invalid_model' });
  });

  test('what is packed without rights can be read, and runs as nobody else', async () => {
    const target = await temporaryFolder();

    await unpack(
      tarOf([
        { ...file('closed'), mode: 0 },
        { ...file('setuid'), mode: 0o4755 },
      ]),
      target,
    );

    const modes = await Promise.all(
      ['closed', 'setuid'].map(async (name) => (await stat(join(target, name))).mode & 0o7777),
    );
    expect(modes.map((mode) => mode & 0o7700)).toEqual([0o600, 0o700]);
  });

  test('an abort ends it', async () => {
    const signal = AbortSignal.abort(new Error('gone'));

    await expect(unpack(tarOf([file('a')]), await temporaryFolder(), { signal })).rejects.toThrow('gone');
  });
});

interface RawEntry {
  readonly type: 'File' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'FIFO';
  readonly path: string;
  readonly content?: string;
  readonly linkpath?: string;
  readonly mode?: number;
}

function tarOf(entries: readonly RawEntry[]): Readable {
  return Readable.from([gzipSync(Buffer.concat([...tarBlocks(entries), Buffer.alloc(1024)]))]);
}

function tarBlocks(entries: readonly RawEntry[]): Buffer[] {
  return entries.flatMap(({ content = '', ...entry }) => {
    const header = new Header({ mode: 0o644, ...entry, size: content.length, mtime: new Date(0) });
    const block = Buffer.alloc(512);
    header.encode(block);
    const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
    body.write(content);
    return [block, body];
  });
}

async function writeFolder(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}
