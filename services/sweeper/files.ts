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
  let cursor: string | undefined;
  do {
    if (isTimeUp()) return removed;
    const page = await parts.files.expired(now, { limit: batch, cursor });
    for (const file of page.items) {
      await parts.objects.remove(fileObjectKey(file));
      await parts.files.remove(file.id);
    }
    removed += page.items.length;
    cursor = page.next;
    // Where requests are served by the same thread, they come first.
    await turn();
  } while (cursor !== undefined);
  return removed;
}
