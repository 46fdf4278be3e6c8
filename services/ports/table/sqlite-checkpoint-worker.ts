import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { workerData } from 'node:worker_threads';

/** How often the log is looked at, and from which size on it is worth a flush. */
const everyMs = 250;
const worthBytes = 4 * 1024 * 1024;

const { path } = workerData as { readonly path: string };
const database = new DatabaseSync(path, { timeout: 0 });
const checkpoint = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');

setInterval(() => {
  const size = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (size < worthBytes) return;
  try {
    checkpoint.get();
  } catch {
    // As on a full disk. The log grows until there is room.
  }
}, everyMs);
