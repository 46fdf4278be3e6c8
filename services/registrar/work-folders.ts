import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
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

/** Removes it with all that is in it. */
export async function removeWork(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } finally {
    ours.delete(path);
  }
}

/** Removes what processes that are gone have left in `parent`. */
export async function removeLeftovers(parent: string): Promise<void> {
  const names = await readdir(parent).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) {
    const pid = Number(/^(?:build|trash)-(\d+)-/.exec(name)?.[1] ?? Number.NaN);
    const path = join(parent, name);
    const isLeft = pid === process.pid ? !ours.has(path) : pid > 0 && !isAlive(pid);
    if (isLeft) await rm(path, { recursive: true, force: true });
  }
}
