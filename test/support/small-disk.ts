import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, realpathSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system so small that a test can fill it. */
export interface SmallDisk {
  /** A folder of it. */
  readonly path: string;
  /** Takes all room that is left. */
  fill(): void;
  /** Gives it back. */
  free(): void;
  /** Unmounts it, or leaves nothing on it. */
  remove(): void;
}

const mebibyte = 1024 * 1024;
/** Where mounting is not allowed: the shared memory of a container, which Docker makes 64 MiB large. */
const sharedMemory = '/dev/shm';
const largestSharedMiB = 256;

/** Whether `makeSmallDisk` gives one here. Leaves nothing behind, so that it can be asked before a test begins. */
export function canMakeSmallDisk(): boolean {
  const disk = makeSmallDisk(1);
  disk?.remove();
  return disk !== undefined;
}

/** undefined where this user may not mount anything and no small file system is there. */
export function makeSmallDisk(sizeMiB: number): SmallDisk | undefined {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'mimeo-disk-')));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', path], { stdio: 'ignore' });
    return diskAt(path, () => execFileSync('umount', ['--lazy', path]));
  } catch {
    rmSync(path, { recursive: true });
    return inSharedMemory();
  }
}

function inSharedMemory(): SmallDisk | undefined {
  try {
    const { blocks, bsize } = statfsSync(sharedMemory);
    if (blocks * bsize > largestSharedMiB * mebibyte) return undefined;
    return diskAt(mkdtempSync(join(sharedMemory, 'mimeo-disk-')), () => undefined);
  } catch {
    return undefined;
  }
}

function diskAt(path: string, unmount: () => void): SmallDisk {
  const ballast = join(path, 'ballast');
  const free = () => rmSync(ballast, { force: true });
  return {
    path,
    fill() {
      const file = openSync(ballast, 'a');
      // The last free pages are taken one by one.
      for (const bytes of [mebibyte, 4096]) while (hasRoom(file, bytes));
      closeSync(file);
    },
    free,
    remove() {
      free();
      unmount();
      rmSync(path, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

function hasRoom(file: number, bytes: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(bytes)) === bytes;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
