import { changedInstances, endOf, type InstanceRecord, seen } from '../core/instance-record.ts';
import type { Pool, PoolState } from '../core/pool.ts';
import type { Key, Page, Table } from '../ports/table/port.ts';
import { fillPage } from './filtered-page.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

/** How long a record is kept after its last change: more than a year of invoices. */
const keptSeconds = 400 * 24 * 3600;

/** Instances from start to end, for their owners: each a record that is replaced as it goes on, so told twice is told once. */
export class InstanceRecords {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Takes over what a look at a pool says that the look before did not. */
  async follow(pool: Pool, before: PoolState | undefined, now: PoolState): Promise<void> {
    const changed = changedInstances(before, now);
    for (const instance of changed.seen) {
      await this.#put(seen(await this.get(instance.id), pool, instance, now.at), now.at);
    }
    if (!before) return;
    for (const instance of changed.gone) {
      const record = await this.get(instance.id);
      if (record?.endedAt === null)
        await this.#put({ ...record, endedAt: endOf(instance, before, now) }, now.at);
    }
  }

  async get(id: string): Promise<InstanceRecord | undefined> {
    const item = await this.#table.get(recordKey(id));
    return item && fromStored<InstanceRecord>(item);
  }

  /** A page of an account's instances, the latest started first. */
  async list(
    account: string,
    options: { readonly limit: number; readonly cursor: string | undefined },
    matches?: (record: InstanceRecord) => boolean,
  ): Promise<Page<InstanceRecord>> {
    const look = async (cursor: string | undefined, limit: number): Promise<Page<InstanceRecord>> => {
      const partition = { index: 'listing', pk: `INSTANCES#${account}` } as const;
      const page = await this.#table.query(partition, { descending: true, limit, cursor });
      return { items: page.items.map((item) => fromStored<InstanceRecord>(item)), next: page.next };
    };
    return matches ? await fillPage(look, matches, options) : await look(options.cursor, options.limit);
  }

  async #put(record: InstanceRecord, now: number): Promise<void> {
    const item = {
      ...recordKey(record.id),
      data: toStored(record),
      keys: {
        listing: { pk: `INSTANCES#${record.account}`, sk: `${timeKey(record.startedAt)}#${record.id}` },
      },
      expiresAt: Math.floor(now / 1000) + keptSeconds,
    };
    await this.#table.write([{ op: 'put', item }]);
  }
}

function recordKey(id: string): Key {
  return { pk: `INSTANCE#${id}`, sk: 'RECORD' };
}
