import type { InstanceReport, ReceivedReport } from '../ports/fleet-protocol/port.ts';
import { reportKeptSeconds, reportLogCharacters } from '../ports/fleet-protocol/port.ts';
import type { Table } from '../ports/table/port.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

const pageSize = 500;

/** What runners said last of their instances. */
export class InstanceReports {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Replaces what was said of the instance before. @param now epoch ms */
  async put(pool: string, report: InstanceReport, now: number): Promise<void> {
    const setupLogs = report.setupLogs.slice(-reportLogCharacters);
    const received: ReceivedReport = { ...report, setupLogs, pool, receivedAt: now };
    const item = {
      pk: `POOL#${pool}`,
      sk: `INSTANCE#${report.instance}`,
      data: toStored(received),
      keys: { listing: { pk: 'INSTANCES', sk: `${timeKey(now)}#${report.instance}` } },
      expiresAt: Math.floor(now / 1000) + reportKeptSeconds,
    };
    await this.#table.write([{ op: 'put', item }]);
  }

  /** Each instance's newest report, of those that were received at `after` (epoch ms) or later. */
  async since(after: number): Promise<readonly ReceivedReport[]> {
    const found: ReceivedReport[] = [];
    let cursor: string | undefined;
    do {
      const partition = { index: 'listing', pk: 'INSTANCES' } as const;
      const page = await this.#table.query(partition, { limit: pageSize, cursor, after: timeKey(after) });
      found.push(...page.items.map((item) => fromStored<ReceivedReport>(item)));
      cursor = page.next;
    } while (cursor !== undefined);
    return found;
  }
}
