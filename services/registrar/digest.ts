import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ProblemError } from '../core/errors.ts';

/** One thing in a model's folder. Directories are listed only where they are empty. */
export type Entry =
  | { readonly kind: 'file'; readonly path: string; readonly sizeBytes: number; readonly executable: boolean }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'folder'; readonly path: string };

/** Names that are never part of a model, at any depth. `.cog` is where Cog's build keeps its own files. */
const leftOut = new Set(['.git', '.mimeo', '.cog', '__pycache__', '.venv', 'venv', 'node_modules']);

/** Whether a path has a part that is never taken along. */
export function isLeftOut(path: string): boolean {
  return path.split('/').some((part) => leftOut.has(part));
}

/** What `.dockerignore` leaves out. */
export interface Ignoring {
  readonly ignores: (path: string) => boolean;
  /** Whether something inside a folder that is left out may be wanted all the same. */
  readonly hasExceptions: boolean;
}

/**
 * What is in a folder, sorted by path in code units, whatever the file system's own order.
 * @throws ProblemError `invalid_model` for what is neither file, folder nor link
 */
export async function listFolder(root: string, ignoring?: Ignoring): Promise<Entry[]> {
  const entries: Entry[] = [];
  const visit = async (folder: string): Promise<number> => {
    const before = entries.length;
    for (const name of await readdir(join(root, folder))) {
      if (leftOut.has(name)) continue;
      const path = folder === '' ? name : `${folder}/${name}`;
      const ignored = ignoring?.ignores(path) ?? false;
      if (ignored && !ignoring?.hasExceptions) continue;
      const stat = await lstat(join(root, path));
      if (stat.isDirectory()) {
        if ((await visit(path)) === 0 && !ignored) entries.push({ kind: 'folder', path });
      } else if (!ignored) entries.push(await fileOrLink(root, path, stat));
    }
    return entries.length - before;
  };
  await visit('');
  return entries.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

async function fileOrLink(root: string, path: string, stat: Stats): Promise<Entry> {
  if (stat.isFile()) {
    return { kind: 'file', path, sizeBytes: stat.size, executable: (stat.mode & 0o100) !== 0 };
  }
  if (stat.isSymbolicLink()) return { kind: 'link', path, target: await readlink(join(root, path)) };
  throw new ProblemError('invalid_model', `${path} is not a file; remove it or name it in .dockerignore`);
}

/**
 * The id of the version that a folder is: SHA-256 (hex) over a manifest of paths, kinds, the executable bit and the
 * SHA-256 of each content, and over the Cog that it gets by default. Times and owners do not count.
 */
export async function digestFolder(root: string, defaultCogVersion: string): Promise<string> {
  const manifest = createHash('sha256').update(`mimeo source 1\ncog ${defaultCogVersion}\n`);
  for (const entry of await listFolder(root)) {
    manifest.update(`${JSON.stringify(await describe(root, entry))}\n`);
  }
  return manifest.digest('hex');
}

async function describe(root: string, entry: Entry): Promise<readonly string[]> {
  switch (entry.kind) {
    case 'file': {
      const hash = createHash('sha256');
      await pipeline(createReadStream(join(root, entry.path)), hash);
      return [entry.executable ? 'program' : 'file', entry.path, hash.digest('hex')];
    }
    case 'link':
      return ['link', entry.path, entry.target];
    case 'folder':
      return ['folder', entry.path];
  }
}
