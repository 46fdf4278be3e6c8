import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const held = new Set<string>();

/**
 * Runs `work` while no other holder of the same lock file does, in this process or another on this machine.
 * A lock that a process left behind when it died is taken over.
 * @throws the signal's reason when it aborts while waiting
 */
export async function withLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  while (!(await take(path))) {
    await delay(100, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
  }
  try {
    return await work();
  } finally {
    held.delete(path);
    await rm(path, { force: true });
  }
}

async function take(path: string): Promise<boolean> {
  if (held.has(path)) return false;
  held.add(path);
  try {
    await writeFile(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    held.delete(path);
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (await isAbandoned(path)) await rm(path, { force: true });
    return false;
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '');
  // An empty file is one that its holder is about to write its number into.
  const pid = Number(text);
  return pid > 0 && (pid === process.pid ? !held.has(path) : !isAlive(pid));
}

/** Whether a process of this machine is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
