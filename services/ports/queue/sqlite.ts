import type { DatabaseSync } from 'node:sqlite';
import { openSqliteFile, type SqliteFormat } from '../sqlite-file.ts';
import { createLine, type Entry, type Line } from './line.ts';
import { assertDelay, assertWait, type Queue, type Received, visibilitySeconds } from './port.ts';

const queueFormat: SqliteFormat = {
  applicationId: 0x4d696d51, // "MimQ"
  version: 1,
  holds: "Mimeo's queue",
  isExclusive: true,
  schema: `CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    pool TEXT NOT NULL,
    job_id TEXT NOT NULL,
    "group" TEXT NOT NULL,
    due_at INTEGER NOT NULL
  ) STRICT`,
};

export interface SqliteQueueOptions {
  /** The database's file, of this queue alone; its folder is made where there is none. */
  readonly path: string;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** A receiver that waits for a message. */
interface Waiter {
  hand(entry: Entry | undefined): void;
}

interface Pool {
  readonly name: string;
  readonly line: Line;
  /** In the order of their arrival. */
  readonly waiters: Set<Waiter>;
}

/**
 * A queue of one process, which works in memory and keeps a copy in a SQLite file for the next process. The copy is
 * written in one transaction at the end of a turn of the event loop, so a message that is sent to a waiting receiver
 * and removed in that turn costs no write. What a process that is killed had received comes back at the next open.
 * @throws Error whose message names the file and says how to mend it
 */
export function openSqliteQueue({ path, now = Date.now }: SqliteQueueOptions): Queue {
  const database = openSqliteFile(path, queueFormat, 'off');
  const copy = createCopy(database);
  const pools = new Map<string, Pool>();
  const timers = new Set<NodeJS.Timeout>();
  let isClosed = false;
  let nextId = 1;

  function poolOf(name: string): Pool {
    let pool = pools.get(name);
    if (pool === undefined) {
      pool = { name, line: createLine(), waiters: new Set() };
      pools.set(name, pool);
    }
    return pool;
  }

  /** Hands a message to the receiver that waits longest, or puts it in the line. */
  function offer(pool: Pool, entry: Entry): void {
    const [waiter] = pool.waiters;
    if (waiter === undefined) {
      pool.line.add(entry);
      return;
    }
    pool.waiters.delete(waiter);
    waiter.hand(entry);
  }

  function after(ms: number, action: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      timers.delete(timer);
      action();
    }, ms).unref();
    timers.add(timer);
    return timer;
  }

  function cancel(timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    timers.delete(timer);
  }

  function offerAt(pool: Pool, entry: Entry, dueAt: number): void {
    const waitMs = dueAt - now();
    if (waitMs <= 0) offer(pool, entry);
    else after(waitMs, () => offer(pool, entry));
  }

  function received(pool: Pool, entry: Entry): Received {
    let isHeld = true;
    const timer = after(visibilitySeconds * 1000, () => {
      isHeld = false;
      offer(pool, entry);
    });
    const settle = (action: () => void) => {
      // The message was handed out again, perhaps to another receiver: it is no longer this one's.
      if (!isHeld || isClosed) return;
      isHeld = false;
      cancel(timer);
      action();
    };
    return {
      jobId: entry.message.jobId,
      group: entry.message.group,
      async remove() {
        settle(() => copy.remove(entry.id));
      },
      async release() {
        settle(() => offer(pool, entry));
      },
    };
  }

  function wait(pool: Pool, seconds: number, signal: AbortSignal | undefined): Promise<Entry | undefined> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        hand(entry) {
          cancel(timer);
          signal?.removeEventListener('abort', giveUp);
          resolve(entry);
        },
      };
      const giveUp = () => {
        pool.waiters.delete(waiter);
        waiter.hand(undefined);
      };
      const timer = after(seconds * 1000, giveUp);
      signal?.addEventListener('abort', giveUp);
      pool.waiters.add(waiter);
    });
  }

  for (const row of copy.load()) {
    nextId = row.id + 1;
    offerAt(poolOf(row.pool), { id: row.id, message: { jobId: row.jobId, group: row.group } }, row.dueAt);
  }

  return {
    async send(poolName, { jobId, group }, { delaySeconds = 0 } = {}) {
      assertOpen();
      assertDelay(delaySeconds);
      const entry: Entry = { id: nextId, message: { jobId, group } };
      nextId += 1;
      const dueAt = now() + delaySeconds * 1000;
      copy.add({ id: entry.id, pool: poolName, jobId, group, dueAt });
      offerAt(poolOf(poolName), entry, dueAt);
    },

    async receive(poolName, { waitSeconds, signal }) {
      assertOpen();
      assertWait(waitSeconds);
      if (signal?.aborted) return undefined;
      const pool = poolOf(poolName);
      let entry = pool.line.take();
      if (entry === undefined && waitSeconds > 0) {
        entry = await wait(pool, waitSeconds, signal);
        if (entry !== undefined && (signal?.aborted || isClosed)) {
          offer(pool, entry);
          return undefined;
        }
      }
      return entry === undefined ? undefined : received(pool, entry);
    },

    async drop(poolName) {
      assertOpen();
      const { line } = poolOf(poolName);
      for (let entry = line.take(); entry !== undefined; entry = line.take()) copy.remove(entry.id);
    },

    async close() {
      if (isClosed) return;
      isClosed = true;
      for (const pool of pools.values()) {
        for (const waiter of [...pool.waiters]) waiter.hand(undefined);
        pool.waiters.clear();
      }
      for (const timer of timers) clearTimeout(timer);
      copy.close();
    },
  };

  function assertOpen(): void {
    if (isClosed) throw new Error('The queue is closed');
  }
}

interface Row {
  readonly id: number;
  readonly pool: string;
  readonly jobId: string;
  readonly group: string;
  /** Epoch ms before which it is not handed out. */
  readonly dueAt: number;
}

/** How long a message may be missing on disk: most are received and removed before that, and never written. */
const copyMs = 25;

/** The queue's copy on disk, and what it lacks yet. */
function createCopy(database: DatabaseSync) {
  const insert = database.prepare(
    'INSERT INTO messages (id, pool, job_id, "group", due_at) VALUES (?, ?, ?, ?, ?)',
  );
  const remove = database.prepare('DELETE FROM messages WHERE id = ?');
  const added = new Map<number, Row>();
  const removed = new Set<number>();
  let isScheduled = false;

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    // Not unref'd: a process that ends by itself has written everything.
    setTimeout(flush, copyMs);
  }

  function flush(): void {
    isScheduled = false;
    if ((added.size === 0 && removed.size === 0) || !database.isOpen) return;
    try {
      database.exec('BEGIN IMMEDIATE');
      for (const row of added.values()) insert.run(row.id, row.pool, row.jobId, row.group, row.dueAt);
      for (const id of removed) remove.run(id);
      database.exec('COMMIT');
    } catch (error) {
      // What could not be copied is lost only if the process dies too, and then the sweeper sends it anew.
      console.error('The queue could not be written to disk:', error);
      if (database.isTransaction) database.exec('ROLLBACK');
    }
    added.clear();
    removed.clear();
  }

  return {
    load(): Row[] {
      const rows = database
        .prepare('SELECT id, pool, job_id AS jobId, "group", due_at AS dueAt FROM messages ORDER BY id')
        .all();
      return rows as unknown as Row[];
    },
    add(row: Row): void {
      added.set(row.id, row);
      schedule();
    },
    remove(id: number): void {
      if (added.delete(id)) return;
      removed.add(id);
      schedule();
    },
    close(): void {
      flush();
      database.close();
    },
  };
}
