import { join } from 'node:path';
import type { UsageRecord } from '../../services/core/usage.ts';
import { Models } from '../../services/data/models.ts';
import { Usage } from '../../services/data/usage.ts';
import { createMetering } from '../../services/metering/app.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';

export interface Ledger {
  /** This month's records of account `local`, of the month before as well in the first hour of a month. */
  records(): Promise<readonly UsageRecord[]>;
  runCount(model: string): Promise<number>;
  close(): Promise<void>;
}

/**
 * Opens the ledger of a home whose platform has stopped. Metering runs on, as the next start would have it: what the
 * feed still held when the process ended is recorded a moment later.
 */
export function openLedger(home: string): Ledger {
  const table = openSqliteTable({ path: join(home, 'mimeo.db') });
  const stop = table.consume(createMetering(table));
  const usage = new Usage(table);
  const hourMs = 3_600_000;
  return {
    async records() {
      const now = Date.now();
      const months = [...new Set([now - hourMs, now].map((at) => new Date(at).toISOString().slice(0, 7)))];
      const found = await Promise.all(
        months.map(async (month) => recordsOf(usage, Date.parse(`${month}-01`))),
      );
      return found.flat();
    },
    runCount: async (model) => new Models(table).runCount(model),
    async close() {
      await stop();
      await table.close();
    },
  };
}

async function recordsOf(usage: Usage, at: number): Promise<UsageRecord[]> {
  const records: UsageRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await usage.list('local', at, { limit: 100, cursor });
    records.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  return records;
}
