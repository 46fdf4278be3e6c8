import { readSweepPlace, writeSweepPlace } from '../data/sweep-place.ts';
import { type LedgerOptions, type LedgerReport, verifyLedger } from './ledger.ts';

/**
 * Verifies the ledger as far as there is time. A later call begins with the account that this one did not get through,
 * or, where that was its first, with the next: one account that takes all the time keeps no other from its turn.
 */
export async function verifyInTurns(options: LedgerOptions): Promise<LedgerReport> {
  const { table } = options;
  const place = await readSweepPlace(table, 'LEDGER');
  const accounts = beginningWith(options.accounts, place);
  const report = await verifyLedger({ ...options, accounts });
  const { stoppedAt } = report;
  const next = stoppedAt === accounts[0] ? (accounts[1] ?? stoppedAt) : stoppedAt;
  if (next !== place) await writeSweepPlace(table, 'LEDGER', next);
  return report;
}

/** The same accounts in the same order, but for where it begins. */
function beginningWith(accounts: readonly string[], first: string | undefined): readonly string[] {
  const start = first === undefined ? 0 : Math.max(0, accounts.indexOf(first));
  return [...accounts.slice(start), ...accounts.slice(0, start)];
}
