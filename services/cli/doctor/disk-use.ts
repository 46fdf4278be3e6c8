import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Files that are counted before the answer is "more than". */
const fileLimit = 300_000;
/** Bytes of a block, whatever the file system's own (POSIX `st_blocks`). */
const blockBytes = 512;

/**
 * What takes room in a folder: each folder in it by its name, the files beside them as `databases`. A file that has
 * several names counts once; what a link leads to, and what cannot be read, does not count.
 */
export async function measureFolder(root: string): Promise<{
  readonly used: readonly { readonly name: string; readonly bytes: number }[];
  readonly usedMore: boolean;
}> {
  const seen = new Set<string>();
  let left = fileLimit;
  let bytes = 0;
  const addFile = async (path: string) => {
    const stats = await lstat(path).catch(() => undefined);
    if (!stats) return;
    const inode = `${stats.dev}:${stats.ino}`;
    if (stats.nlink > 1 && seen.has(inode)) return;
    if (stats.nlink > 1) seen.add(inode);
    bytes += stats.blocks * blockBytes;
  };
  const addFolder = async (path: string): Promise<void> => {
    const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
    const files = entries.filter((entry) => !entry.isDirectory()).slice(0, left);
    left -= files.length;
    await Promise.all(files.map(async ({ name }) => addFile(join(path, name))));
    for (const entry of entries) if (left > 0 && entry.isDirectory()) await addFolder(join(path, entry.name));
  };
  const sizeOf = async (measure: () => Promise<unknown>) => {
    bytes = 0;
    await measure();
    return bytes;
  };

  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => !entry.isDirectory());
  const used = [
    {
      name: 'databases',
      bytes: await sizeOf(async () => Promise.all(files.map(async ({ name }) => addFile(join(root, name))))),
    },
  ];
  for (const { name } of entries.filter((entry) => entry.isDirectory()))
    used.push({ name, bytes: await sizeOf(async () => addFolder(join(root, name))) });
  return { used, usedMore: left <= 0 };
}
