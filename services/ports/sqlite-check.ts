import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** What a look at a database file found, without changing it. */
export type SqliteCheck =
  | { readonly state: 'absent' | 'intact' | 'in-use' }
  /** `message`: what SQLite says of it. */
  | { readonly state: 'damaged'; readonly message: string };

/** Primary result codes of https://sqlite.org/rescode.html: another process keeps everybody else out. */
const busyCodes: readonly number[] = [5, 6];

/** Opens a database file read-only and lets SQLite check it, which reads the whole of it. */
export function checkSqliteFile(path: string): SqliteCheck {
  if (!existsSync(path)) return { state: 'absent' };
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 500 });
    const row = database.prepare('PRAGMA quick_check(1)').get();
    const verdict = String(row?.quick_check);
    return verdict === 'ok' ? { state: 'intact' } : { state: 'damaged', message: verdict };
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && busyCodes.includes(Number(error.errcode) & 0xff)) {
      return { state: 'in-use' };
    }
    return { state: 'damaged', message: error instanceof Error ? error.message : String(error) };
  } finally {
    database?.close();
  }
}
