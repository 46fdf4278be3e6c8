import type { Key, Table } from '../ports/table/port.ts';
import { fromStored, toStored } from './stored.ts';

const key: Key = { pk: 'SWEEPER', sk: 'POOLS' };

/** The id of the pool that a sweep without enough time got to; undefined where the last one got through. */
export async function readSweepPlace(table: Table): Promise<string | undefined> {
  const item = await table.get(key);
  return item && fromStored<{ pool: string }>(item).pool;
}

/** @param pool undefined where the sweep got through */
export async function writeSweepPlace(table: Table, pool: string | undefined): Promise<void> {
  await table.write([
    pool === undefined ? { op: 'delete', key } : { op: 'put', item: { ...key, data: toStored({ pool }) } },
  ]);
}
