import type { DatabaseSync } from 'node:sqlite';
import type { Change, ChangeConsumer, ChangeFeed } from './port.ts';
import { decodeItem, prepare } from './sqlite-rows.ts';

/** Changes that one call of a handler gets, at most. */
const maxGroupChanges = 256;
/** Characters of stored items in one group, but for the first change. */
const maxGroupCharacters = 4 * 1024 * 1024;
/** How long changes are gathered into a group: keeps handlers off the path of the request that wrote. */
const gatherMs = 5;
/** While changes keep coming: each call costs writes and reads of its own, however many changes it gets. */
const spacingMs = 250;
/** How often changes that every consumer has passed are removed: many at once cost little more than one. */
const trimMs = 1000;
/** A handler that threw is called again after this, doubled each time up to the longest. */
const firstRetryMs = 100;
const longestRetryMs = 10_000;

/** The feed of a table, as the table itself drives it. */
export interface SqliteFeed extends ChangeFeed {
  /** To be called after a commit that recorded changes. */
  notify(): void;
  /** Stops every consumer and resolves when no handler is running. */
  stop(): Promise<void>;
}

interface Group {
  readonly after: number;
  readonly changes: readonly Change[];
  readonly last: number;
  /** Whether the feed went on beyond this group when it was read. */
  readonly more: boolean;
}

interface Reader {
  read(after: number): Group;
  /** To be called when the feed has grown: the group that was read last may not be whole any more. */
  forget(): void;
  register(name: string): number;
  /** Moves a consumer's place and forgets what every known consumer has passed. */
  advance(name: string, position: number): void;
}

/**
 * The changes are rows that a write commits along with its items; each known consumer has a durable place among them.
 * A consumer that is new starts with the oldest change that is still there; one that was known keeps changes from
 * being forgotten even while it does not run.
 * @param commit commits what was written and is not durable yet
 */
export function createSqliteFeed(
  database: DatabaseSync,
  onConsumerError: (name: string, error: unknown) => void,
  commit: () => void,
): SqliteFeed {
  const reader = createReader(database, commit);
  const running = new Map<string, { notify(): void; stop(): Promise<void> }>();
  return {
    notify() {
      reader.forget();
      for (const consumer of running.values()) consumer.notify();
    },
    consume(consumer) {
      if (running.has(consumer.name)) throw new Error(`The feed already has a consumer ${consumer.name}`);
      const delivery = startDelivery(reader, consumer, onConsumerError);
      running.set(consumer.name, delivery);
      return async () => {
        await delivery.stop();
        if (running.get(consumer.name) === delivery) running.delete(consumer.name);
      };
    },
    async stop() {
      await Promise.all([...running.values()].map((delivery) => delivery.stop()));
    },
  };
}

function startDelivery(
  reader: Reader,
  consumer: ChangeConsumer,
  onConsumerError: (name: string, error: unknown) => void,
): { notify(): void; stop(): Promise<void> } {
  let position = reader.register(consumer.name);
  let retryMs = firstRetryMs;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let isHandling = false;
  /** Resolves when the handler that was called last has ended. */
  let handling: Promise<void> | undefined;
  let wasNotified = false;
  let deliveredAt = Number.NEGATIVE_INFINITY;

  function schedule(ms: number): void {
    timer = setTimeout(() => {
      timer = undefined;
      wasNotified = false;
      isHandling = true;
      handling = deliver();
    }, ms);
    timer.unref();
  }

  /** A change after a pause is handled soon; while they keep coming, they are handled in groups. */
  function gatheringMs(): number {
    return Math.max(gatherMs, deliveredAt + spacingMs - performance.now());
  }

  async function deliver(): Promise<void> {
    let nextMs: number | undefined;
    try {
      const group = reader.read(position);
      if (group.changes.length === 0) return;
      await consumer.handle(group.changes);
      position = group.last;
      reader.advance(consumer.name, position);
      retryMs = firstRetryMs;
      deliveredAt = performance.now();
      if (group.more) nextMs = 0;
      else if (wasNotified) nextMs = gatheringMs();
    } catch (error) {
      nextMs = retryMs;
      retryMs = Math.min(retryMs * 2, longestRetryMs);
      onConsumerError(consumer.name, error);
    } finally {
      isHandling = false;
      if (nextMs !== undefined && !isStopped) schedule(nextMs);
    }
  }

  schedule(0);
  return {
    notify() {
      wasNotified = true;
      if (timer === undefined && !isHandling && !isStopped) schedule(gatheringMs());
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await handling;
    },
  };
}

function createReader(database: DatabaseSync, commit: () => void): Reader {
  const select = prepare<[number, string, string, string | null, string | null]>(
    database,
    'SELECT id, pk, sk, before, after FROM changes WHERE id > ? ORDER BY id LIMIT ? + 0',
  );
  const add = prepare(
    database,
    'INSERT INTO consumers (name, position) VALUES (?, 0) ON CONFLICT DO NOTHING',
  );
  const find = prepare<[number]>(database, 'SELECT position FROM consumers WHERE name = ?');
  const move = prepare(database, 'UPDATE consumers SET position = ? WHERE name = ?');
  // The newest row stays: the next id is one more than the highest, and ids must never be used again.
  const trim = prepare(
    database,
    `DELETE FROM changes
     WHERE id <= (SELECT min(position) FROM consumers) AND id < (SELECT max(id) FROM changes)`,
  );
  // Consumers mostly move in step: the second one gets the group that was parsed for the first.
  let latest: Group | undefined;
  let isTrimDue = false;
  return {
    read(after) {
      // Of what is not committed, the id may yet become that of another change, which would then be passed over.
      commit();
      if (latest?.after !== after) latest = readGroup(after);
      return latest;
    },
    forget() {
      latest = undefined;
    },
    register(name) {
      add.run(name);
      return find.get(name)?.[0] ?? 0;
    },
    advance(name, position) {
      // A statement of its own: one that fails must take nothing else with it that the table believes written.
      commit();
      move.run(position, name);
      if (isTrimDue) return;
      isTrimDue = true;
      setTimeout(() => {
        isTrimDue = false;
        if (!database.isOpen) return;
        try {
          commit();
          trim.run();
        } catch {
          // As on a full disk. The next time removes them, too.
        }
      }, trimMs).unref();
    },
  };

  function readGroup(after: number): Group {
    const changes: Change[] = [];
    let last = after;
    let characters = 0;
    let more = false;
    for (const [id, pk, sk, before, after] of select.iterate(last, maxGroupChanges + 1)) {
      characters += (before?.length ?? 0) + (after?.length ?? 0);
      if (changes.length === maxGroupChanges || (characters > maxGroupCharacters && changes.length > 0)) {
        more = true;
        break;
      }
      changes.push({
        id: String(id),
        key: { pk, sk },
        before: before === null ? undefined : decodeItem(pk, sk, before),
        after: after === null ? undefined : decodeItem(pk, sk, after),
      });
      last = id;
    }
    return { after, changes, last, more };
  }
}
