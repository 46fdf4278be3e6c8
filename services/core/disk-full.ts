/** Primary result code of https://sqlite.org/rescode.html. */
const sqliteFull = 13;
/** SQLITE_IOERR_SHMSIZE: the index of SQLite's log could not grow. */
const sqliteLogIndexCannotGrow = 4874;
const systemCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT'];

/** Whether a local store could not write for want of space, so that the same write may succeed later. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('errcode' in error && typeof error.errcode === 'number') {
    return (error.errcode & 0xff) === sqliteFull || error.errcode === sqliteLogIndexCannotGrow;
  }
  if ('code' in error && systemCodes.includes(error.code)) return true;
  return error.cause !== undefined && isDiskFull(error.cause);
}
