import { Worker } from 'node:worker_threads';

/** Pages in the write-ahead log at which the writer itself makes room, with little left to do for it. */
export const writerCheckpointPages = 8000;

/**
 * Moves what is committed from a database's write-ahead log into the database, in a thread of its own: the flush to the
 * disk takes milliseconds, which would hold up every request. See https://sqlite.org/wal.html#ckpt.
 */
export function startCheckpoints(path: string): { stop(): Promise<void> } {
  const worker = new Worker(new URL('./sqlite-checkpoint-worker.ts', import.meta.url), {
    workerData: { path },
  });
  worker.unref();
  // Without it the log is only moved later, by the writer.
  worker.on('error', () => undefined);
  return {
    async stop() {
      await worker.terminate();
    },
  };
}
