import { setImmediate as turn } from 'node:timers/promises';
import { type Files, fileObjectKey } from '../data/files.ts';
import type { Objects } from '../ports/objects/port.ts';

/** Files that are read at a time. */
const batch = 100;

/**
 * Removes files whose time is over: first the bytes, then the record by which they are found.
 * @param now epoch ms
 * @param isTimeUp asked before each group of files; what is left then goes another time
 * @returns how many
 */
export async function removeExpiredFiles(
  parts: { readonly files: Files; readonly objects: Objects },
  now: number,
  isTimeUp: () => boolean = () => false,
): Promise<number> {
  let removed = 0;
  for (;;) {
    if (isTimeUp()) return removed;
    const expired = await parts.files.expired(now, batch);
    for (const file of expired) {
      await parts.objects.remove(fileObjectKey(file));
      await parts.files.remove(file.id);
    }
    removed += expired.length;
    if (expired.length < batch) return removed;
    // Where requests are served by the same thread, they come first.
    await turn();
  }
}
