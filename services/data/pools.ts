import type { Pool, PoolState } from '../core/pool.ts';
import { ConflictError, type Key, type Page, type Table } from '../ports/table/port.ts';
import { fillPage } from './filtered-page.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

/** A pool that got no job for this long is not looked at any more. */
export const poolActiveSeconds = 24 * 3600;

/** A pool, and when it last got a job as far as that was noted (epoch ms). */
type IdlePool = Pool & { readonly touchedAt?: number };

/** Pools that have had jobs lately, and what their directors say of them. */
export class Pools {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Notes that a pool gets jobs. Called at most once a minute for each pool and process. */
  async touch(pool: Pool, now: number): Promise<void> {
    const pk = `POOL#${pool.id}`;
    const sk = `${timeKey(now)}#${pool.id}`;
    const data = toStored(pool);
    const noted = toStored({ ...pool, touchedAt: now });
    await this.#table.write([
      { op: 'put', item: { pk, sk: 'POOL', data: noted, keys: { listing: { pk: 'POOLS', sk } } } },
      // A list of its owner's, so that nobody reads through the pools of others.
      { op: 'put', item: { pk, sk: 'OWNED', data, keys: { listing: { pk: ownedBy(pool.account), sk } } } },
    ]);
  }

  /** Pools that have had no job since `before` (epoch ms), the longest idle first. */
  async idleSince(
    before: number,
    options: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<IdlePool>> {
    const partition = { index: 'listing', pk: 'POOLS' } as const;
    const page = await this.#table.query(partition, { ...options, before: timeKey(before) });
    return { items: page.items.map((item) => fromStored<IdlePool>(item)), next: page.next };
  }

  /**
   * Takes a pool out of every list, until it gets a job again.
   * @returns false where it has had one meanwhile
   */
  async retire({ touchedAt, ...pool }: IdlePool): Promise<boolean> {
    // A release that did not note the time may be writing it.
    if (touchedAt === undefined) return false;
    const item = { ...poolKey(pool.id), data: toStored({ ...pool, touchedAt }) };
    try {
      await this.#table.write([
        { op: 'put', item, when: { equals: { touchedAt } } },
        { op: 'delete', key: { ...poolKey(pool.id), sk: 'OWNED' } },
      ]);
      return true;
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
  }

  async get(id: string): Promise<Pool | undefined> {
    const item = await this.#table.get(poolKey(id));
    return item && fromStored<Pool>(item);
  }

  /** Every pool that has had a job in the last `poolActiveSeconds`. */
  async active(now: number): Promise<readonly Pool[]> {
    return await this.#touchedAfter(timeKey(now - poolActiveSeconds * 1000));
  }

  /** A page of an account's pools, the one whose latest job is the newest first; see `fillPage` where some are wanted. */
  async listActive(
    account: string,
    now: number,
    options: { readonly limit: number; readonly cursor: string | undefined },
    matches?: (pool: Pool) => boolean,
  ): Promise<Page<Pool>> {
    const after = timeKey(now - poolActiveSeconds * 1000);
    const look = async (cursor: string | undefined, limit: number): Promise<Page<Pool>> => {
      const partition = { index: 'listing', pk: ownedBy(account) } as const;
      const page = await this.#table.query(partition, { descending: true, limit, cursor, after });
      return { items: page.items.map((item) => fromStored<Pool>(item)), next: page.next };
    };
    return matches ? await fillPage(look, matches, options) : await look(options.cursor, options.limit);
  }

  /** Every pool that has ever had a job. */
  async all(): Promise<readonly Pool[]> {
    return await this.#touchedAfter(undefined);
  }

  async #touchedAfter(after: string | undefined): Promise<readonly Pool[]> {
    const pools: Pool[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#table.query({ index: 'listing', pk: 'POOLS' }, { limit: 1000, cursor, after });
      pools.push(...page.items.map((item) => fromStored<Pool>(item)));
      cursor = page.next;
    } while (cursor !== undefined);
    return pools;
  }

  async putState(state: PoolState): Promise<void> {
    await this.#table.write([
      { op: 'put', item: { pk: `POOL#${state.pool}`, sk: 'STATE', data: toStored(state) } },
    ]);
  }

  async state(id: string): Promise<PoolState | undefined> {
    const item = await this.#table.get({ pk: `POOL#${id}`, sk: 'STATE' });
    return item && fromStored<PoolState>(item);
  }

  /** Seconds that recent jobs of the pool ran, newest last; kept by metering. */
  async runSeconds(id: string): Promise<readonly number[]> {
    const item = await this.#table.get({ pk: `POOL#${id}`, sk: 'HISTORY' });
    return item ? fromStored<{ runSeconds: number[] }>(item).runSeconds : [];
  }
}

function ownedBy(account: string): string {
  return `POOLS#${account}`;
}

function poolKey(id: string): Key {
  return { pk: `POOL#${id}`, sk: 'POOL' };
}
