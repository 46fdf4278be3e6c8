import { billingMonth, type UsageRecord } from '../core/usage.ts';
import type { Page, Table } from '../ports/table/port.ts';
import { fromStored } from './stored.ts';

/** The ledger, for reading. */
export class Usage {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** The record of one job. */
  async get(jobId: string): Promise<UsageRecord | undefined> {
    const item = await this.#table.get({ pk: `USAGE#${jobId}`, sk: 'USAGE' });
    return item && fromStored<UsageRecord>(item);
  }

  /** An account's records of the month that `at` (epoch ms) is in, oldest first. */
  async list(
    account: string,
    at: number,
    options: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<UsageRecord>> {
    const page = await this.#table.query(
      { index: 'listing', pk: `USAGE#${account}#${billingMonth(at)}` },
      options,
    );
    return { items: page.items.map((item) => fromStored<UsageRecord>(item)), next: page.next };
  }
}
