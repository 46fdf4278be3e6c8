import { rmSync } from 'node:fs';
import { join } from 'node:path';

/** Where coglet makes a folder for each run's files, which it never removes: 13 million runs filled a disk. */
const folder = '/tmp/coglet/predictions';
/** Removed together, as one call of Node's own each: by promises each took several turns of the thread pool. */
const everyMs = 20;

const waiting: string[] = [];

/** Removes, soon, what coglet has kept of a run, where its disk is this one. @param id as its server was given it */
export function removeRunFiles(id: string): void {
  if (!/^[\w-]+$/.test(id)) return;
  waiting.push(id);
  if (waiting.length === 1) setTimeout(removeAll, everyMs);
}

function removeAll(): void {
  for (const id of waiting.splice(0)) {
    try {
      rmSync(join(folder, id), { recursive: true, force: true });
    } catch {
      // It is somebody else's, or in use.
    }
  }
}
