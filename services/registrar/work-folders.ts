import { randomBytes } from 'node:crypto';
import { chmod, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from './lock.ts';

/** Those that this process works with: another before it may have had the same number. */
const ours = new Set<string>();

/** A path in `parent` for what is there for a moment, named for this process so that leftovers can be told. */
export function newWorkPath(parent: string, kind: 'build' | 'trash'): string {
  const path = join(parent, `${kind}-${process.pid}-${randomBytes(6).toString('hex')}`);
  ours.add(path);
  return path;
}

/** Removes it with all that is in it; what cannot be is a leftover from then on. */
export async function removeWork(path: string): Promise<void> {
  try {
    await removeTree(path);
  } finally {
    ours.delete(path);
  }
}

/** A model may have left folders that nobody may write to. */
async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    await openFolders(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function openFolders(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await openFolders(join(path, entry.name));
  }
}

/**
 * Removes what processes that are gone have left in `parent`.
 * @returns why something is still there
 */
export async function removeLeftovers(parent: string): Promise<readonly Error[]> {
  const names = await readdir(parent).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const failures: Error[] = [];
  for (const name of names) {
    const pid = Number(/^(?:build|trash)-(\d+)-/.exec(name)?.[1] ?? Number.NaN);
    const path = join(parent, name);
    const isLeft = pid === process.pid ? !ours.has(path) : pid > 0 && !isAlive(pid);
    if (isLeft) await removeTree(path).catch((error: Error) => failures.push(error));
  }
  return failures;
}
