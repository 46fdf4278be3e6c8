import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readRequirements } from '../../services/registrar/requirements.ts';
import { temporaryFolder } from './registrar-home.ts';

describe('readRequirements', () => {
  test('knows the names that are asked for, also in files that are included', async () => {
    const folder = await folderWith({
      'requirements.txt': '--extra-index-url https://x\n# torch\nPillow_Plus==1 # why\n-r more/base.txt\n',
      'more/base.txt': 'cog>=0.16\nfoo @ https://example.org/foo-1.0-py3-none-any.whl\n',
    });

    expect([...(await readRequirements(folder, 'requirements.txt')).byName.keys()]).toEqual([
      'pillow-plus',
      'cog',
      'foo',
    ]);
  });

  test('comments and empty lines do not make another environment, contents do', async () => {
    const digests = await Promise.all(
      ['foo==1\nbar', '# hello\nfoo==1\n\nbar  # there\n', 'foo==2\nbar'].map(async (text) => {
        const folder = await folderWith({ 'r.txt': text });
        return (await readRequirements(folder, 'r.txt')).digest;
      }),
    );

    expect(digests[1]).toBe(digests[0]);
    expect(digests[2]).not.toBe(digests[0]);
  });

  test('another content of a local wheel makes another environment', async () => {
    const digests = await Promise.all(
      ['one', 'two'].map(async (content) => {
        const folder = await folderWith({
          'r.txt': './dist/a-1-py3-none-any.whl',
          'dist/a-1-py3-none-any.whl': content,
        });
        return (await readRequirements(folder, 'r.txt')).digest;
      }),
    );

    expect(digests[0]).not.toBe(digests[1]);
  });

  test.each([
    ['a file that is not there', 'foo\n-r missing.txt', 'r.txt:2: there is no file missing.txt'],
    ['a path out of the folder', '-r ../../etc/hosts', 'r.txt:1: ../../etc/hosts lies outside'],
    ['a local folder', 'foo\n./package', 'r.txt:2: `./package` installs a local folder'],
    ['the folder itself', '.', 'r.txt:1: `.` installs a local folder'],
    ['an editable folder', '-e ./package', 'r.txt:1: `-e ./package` installs a local folder'],
  ])('%s is refused with its line', async (_, text, message) => {
    const folder = await folderWith({ 'r.txt': text });

    await expect(readRequirements(folder, 'r.txt')).rejects.toMatchObject({
      code: 'invalid_model',
      message: expect.stringContaining(message),
    });
  });
});

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}
