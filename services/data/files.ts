import type { Item, Key, Page, Table, Value } from '../ports/table/port.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

/** How long an uploaded file is kept. */
export const fileLifeMs = 24 * 3600 * 1000;
/** How long the item of a file outlives it, so that its object can still be found and removed. */
const keptSeconds = 30 * 24 * 3600;

/** A file that was uploaded. All times are epoch milliseconds. */
export interface FileRecord {
  readonly id: string;
  readonly account: string;
  /** For people; made safe for headers where it is shown in one. */
  readonly name: string;
  readonly contentType: string;
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
  readonly metadata: { readonly [name: string]: Value };
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** The key of a file's bytes in Objects. */
export function fileObjectKey({ account, id }: Pick<FileRecord, 'account' | 'id'>): string {
  return `${account}/files/${id}`;
}

/** Uploaded files as they are stored; their bytes are objects. */
export class Files {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /**
   * Puts a file on record whose bytes are about to come. It is no file yet; where it never becomes one, because the
   * process died, whatever came of it is removed when its time would have been over.
   */
  async begin(file: Pick<FileRecord, 'id' | 'account' | 'expiresAt'>): Promise<void> {
    const { id, account, expiresAt } = file;
    await this.#table.write([{ op: 'put', item: fileItem({ id, account, expiresAt, isComing: true }, {}) }]);
  }

  async put(file: FileRecord): Promise<void> {
    const listing = { pk: listingPartition(file.account), sk: orderKey(file.createdAt, file.id) };
    await this.#table.write([{ op: 'put', item: fileItem({ ...file }, { listing }) }]);
  }

  /** undefined where there is none of this id, or its time is over. */
  async get(id: string, now: number): Promise<FileRecord | undefined> {
    const item = await this.#table.get(keyOf(id));
    if (!item || item.data.isComing) return undefined;
    const file = fromStored<FileRecord>(item);
    return file.expiresAt > now ? file : undefined;
  }

  /** Files of an account whose time is not over, newest first. */
  async list(
    account: string,
    now: number,
    options: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<FileRecord>> {
    const page = await this.#table.query(
      { index: 'listing', pk: listingPartition(account) },
      // Each lives for the same time, so their order by creation is their order by end.
      { ...options, descending: true, after: `${timeKey(now - fileLifeMs)}~` },
    );
    return { items: page.items.map((item) => fromStored<FileRecord>(item)), next: page.next };
  }

  async remove(id: string): Promise<void> {
    await this.#table.write([{ op: 'delete', key: keyOf(id) }]);
  }

  /** Files whose time is over, oldest first, with those that never came to their end. */
  async expired(
    now: number,
    options: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<Pick<FileRecord, 'id' | 'account'>>> {
    const partition = { index: 'due', pk: duePartition } as const;
    const page = await this.#table.query(partition, { ...options, before: timeKey(now + 1) });
    return { items: page.items.map((item) => fromStored<FileRecord>(item)), next: page.next };
  }
}

const duePartition = 'FILES';

function keyOf(id: string): Key {
  return { pk: `FILE#${id}`, sk: 'FILE' };
}

function fileItem(
  data: Pick<FileRecord, 'id' | 'account' | 'expiresAt'> & { readonly [name: string]: Value },
  keys: { readonly listing?: Key },
): Item {
  return {
    ...keyOf(data.id),
    data: toStored(data),
    keys: { ...keys, due: { pk: duePartition, sk: orderKey(data.expiresAt, data.id) } },
    expiresAt: Math.ceil(data.expiresAt / 1000) + keptSeconds,
  };
}

function listingPartition(account: string): string {
  return `FILES#${account}`;
}

function orderKey(epochMs: number, id: string): string {
  return `${timeKey(epochMs)}#${id}`;
}
