import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDiskFull } from '../core/disk-full.ts';

/** What a database file of ours is, so that another file is never taken for it. */
export interface SqliteFormat {
  /** Stored in the file's header (`PRAGMA application_id`): tells our files apart and from those of other programs. */
  readonly applicationId: number;
  /** Stored in `PRAGMA user_version`; rises when `schema` changes. */
  readonly version: number;
  /** Statements that make an empty file one of `version`. */
  readonly schema: string;
  /** What the file holds, for error messages. */
  readonly holds: string;
  /** Whether the file is of one process at a time, which keeps every other one out while it has it open. */
  readonly isExclusive: boolean;
}

/** Milliseconds that a statement waits for another process's lock. */
const busyTimeoutMs = 2000;

/** Primary result codes of https://sqlite.org/rescode.html that a person can do something about. */
const resultCodes = {
  busy: 5,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
};

/**
 * Opens a database file in WAL mode, and makes it where there is none.
 * `synchronous` as in https://sqlite.org/pragma.html#pragma_synchronous: what is committed survives the death of
 * the process with any of them; `full` also survives a power cut at once, `normal` but for the last moments.
 * @throws Error whose message names the file and says how to mend it
 */
export function openSqliteFile(
  path: string,
  format: SqliteFormat,
  synchronous: 'off' | 'normal' | 'full',
): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true });
    database = new DatabaseSync(path, { timeout: busyTimeoutMs });
    prepareFile(database, path, format, synchronous);
    return database;
  } catch (error) {
    database?.close();
    throw explain(error, path, format);
  }
}

function prepareFile(database: DatabaseSync, path: string, format: SqliteFormat, synchronous: string): void {
  if (format.isExclusive) database.exec('PRAGMA locking_mode=EXCLUSIVE');
  const applicationId = readPragma(database, 'application_id');
  const version = readPragma(database, 'user_version');
  const isEmpty = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
  if (!isEmpty && applicationId !== format.applicationId) {
    throw new Error(
      `${path} is a database of another program, not ${format.holds}. ` +
        'Choose another data folder, or move the file away.',
    );
  }
  if (!isEmpty && version > format.version) {
    throw new Error(
      `${path} was written by a newer Mimeo (its format is ${version}, this Mimeo knows up to ${format.version}). ` +
        'Update Mimeo, or choose another data folder.',
    );
  }
  database.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=${synchronous}; PRAGMA cache_size=-65536`);
  if (isEmpty) {
    database.exec(
      `BEGIN IMMEDIATE; ${format.schema}; PRAGMA application_id=${format.applicationId}; ` +
        `PRAGMA user_version=${format.version}; COMMIT`,
    );
  } else if (format.isExclusive) {
    // The first write takes the lock, and it is kept until the file is closed.
    database.exec('BEGIN IMMEDIATE; COMMIT');
  }
}

function readPragma(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function explain(error: unknown, path: string, format: SqliteFormat): unknown {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return error;
  const fix = isDiskFull(error) ? fixes.get(resultCodes.full) : fixes.get(error.errcode & 0xff);
  if (fix === undefined) return error;
  return new Error(`${path} (${format.holds}) cannot be opened: ${error.message}. ${fix}`, { cause: error });
}

const fixes = new Map([
  [resultCodes.busy, 'Another process holds it: stop the other Mimeo, or choose another data folder.'],
  [resultCodes.readOnly, 'Make the file and its folder writable for this user.'],
  [resultCodes.ioError, 'Check the disk, and that the folder is on a local file system.'],
  [resultCodes.full, 'The disk is full. Free some disk space.'],
  [resultCodes.cannotOpen, 'Check that the folder exists and is writable for this user.'],
  [resultCodes.corrupt, 'It is damaged: restore it from a backup, or move it away to start afresh.'],
  [
    resultCodes.notADatabase,
    'It is damaged or not a database: restore it from a backup, or move it away to start afresh.',
  ],
]);
