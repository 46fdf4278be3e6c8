import type { Job } from '../core/job.ts';
import type { Page, Table } from '../ports/table/port.ts';
import { jobKey, listingPartition } from './job-items.ts';
import { fromStored, timeKey } from './stored.ts';

/**
 * A page of an account's jobs without their payloads, oldest first.
 * @param options `since`: those that were created then or later, epoch ms
 */
export async function listJobRows(
  table: Table,
  account: string,
  options: { readonly limit: number; readonly since?: number; readonly cursor?: string },
): Promise<Page<Job>> {
  const { limit, since, cursor } = options;
  const after = since === undefined ? undefined : timeKey(since);
  const page = await table.query(
    { index: 'listing', pk: listingPartition(account) },
    { limit, cursor, after },
  );
  return { items: page.items.map((item) => fromStored<Job>(item)), next: page.next };
}

/** A job without its payloads. */
export async function readJobRow(table: Table, id: string): Promise<Job | undefined> {
  const item = await table.get(jobKey(id));
  return item && fromStored<Job>(item);
}
