import type { Key, Table } from '../ports/table/port.ts';
import { fromStored, toStored } from './stored.ts';

/** What a sweep goes through in an order, and what its place is called: the id of a pool, the name of an account. */
const places = { POOLS: 'pool', LEDGER: 'account' } as const;

type Sweep = keyof typeof places;

/** Where a sweep without enough time got to; undefined where the last one got through. */
export async function readSweepPlace(table: Table, of: Sweep): Promise<string | undefined> {
  const item = await table.get(keyOf(of));
  return item && fromStored<{ readonly [name: string]: string }>(item)[places[of]];
}

/** @param place undefined where the sweep got through */
export async function writeSweepPlace(table: Table, of: Sweep, place: string | undefined): Promise<void> {
  const key = keyOf(of);
  const data = toStored({ [places[of]]: place ?? '' });
  await table.write([place === undefined ? { op: 'delete', key } : { op: 'put', item: { ...key, data } }]);
}

function keyOf(of: Sweep): Key {
  return { pk: 'SWEEPER', sk: of };
}
