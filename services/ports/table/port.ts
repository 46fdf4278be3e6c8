/** Values that an item may hold: what DynamoDB and JSON share. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [name: string]: Value };

/** Primary key: a partition and a place in its order. Both are non-empty strings. */
export interface Key {
  readonly pk: string;
  readonly sk: string;
}

/**
 * The sparse secondary keys: an item is in an index while it carries a key for it.
 * `listing`: things of an owner, newest last. `unfinished`: jobs that have not ended, by pool.
 * `due`: jobs with a deadline, by time.
 */
export const indexNames = ['listing', 'unfinished', 'due'] as const;
export type IndexName = (typeof indexNames)[number];

export interface Item extends Key {
  readonly data: { readonly [name: string]: Value };
  readonly keys?: { readonly [index in IndexName]?: Key };
  /** Epoch seconds after which the item may vanish; readers treat it as gone from then on. */
  readonly expiresAt?: number;
}

/**
 * Conditions on the item as it is before the write. `absent`: there is none. `present`: there is one.
 * `equals`: there is one and each of these top-level values of `data` is exactly this.
 */
export type Condition =
  | { readonly absent: true }
  | { readonly present: true }
  | { readonly equals: { readonly [name: string]: string | number | boolean | null } };

export type WriteOp =
  | { readonly op: 'put'; readonly item: Item; readonly when?: Condition }
  | { readonly op: 'delete'; readonly key: Key; readonly when?: Condition }
  /** Adds to numbers of an item, from 0 where there is none. An item is either put or added to, never both. */
  | { readonly op: 'add'; readonly key: Key; readonly amounts: { readonly [name: string]: number } }
  | { readonly op: 'check'; readonly key: Key; readonly when: Condition };

/** DynamoDB: actions in one transaction. */
export const maxWriteOps = 100;
/** DynamoDB: bytes of one item, names included. */
export const maxItemBytes = 400 * 1024;
/** DynamoDB: bytes of one transaction. */
export const maxTransactionBytes = 4 * 1024 * 1024;

/** A write whose conditions did not hold. Nothing was written. `failed` are the places of the ops that did not hold. */
export class ConflictError extends Error {
  readonly failed: readonly number[];
  constructor(failed: readonly number[]) {
    super(`Condition failed for write ${failed.join(', ')}`);
    this.name = 'ConflictError';
    this.failed = failed;
  }
}

/** More than the cloud's table would take in one write. A bug of the caller, never of a user. */
export class LimitError extends Error {
  override name = 'LimitError';
}

/**
 * When a write is acknowledged. `now`: once it survives the death of this process. `soon`: as soon as every reader sees
 * it, perhaps some milliseconds before it would survive; with it goes what was written later and was not acknowledged
 * either. For what nobody was told of yet and a restart may undo. An adapter may always take it for `now`.
 */
export type Durability = 'now' | 'soon';

export interface QueryOptions {
  /** Only items whose sort key is greater than this (exclusive), in either direction. */
  readonly after?: string;
  /** Only items whose sort key is less than this (exclusive), in either direction. */
  readonly before?: string;
  readonly descending?: boolean;
  /** 1 to 1000. */
  readonly limit: number;
  /** `next` of the page before. */
  readonly cursor?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; undefined on the last page. */
  readonly next: string | undefined;
}

/** One committed change of one item. In order for each item; delivered at least once. */
export interface Change {
  /** Rises with every change; the same change always has the same id. */
  readonly id: string;
  readonly key: Key;
  /** undefined where the item was created, and always where the feed carries new images only. */
  readonly before: Item | undefined;
  /** undefined where the item was deleted. */
  readonly after: Item | undefined;
}

/**
 * Where all state lives. Reads see every write that was acknowledged before them, except through an index, which may
 * lag. Expired items are never returned.
 */
export interface Table {
  get(key: Key): Promise<Item | undefined>;
  /** Items of one partition (`index` undefined) or of one partition of an index, in the order of their sort keys. */
  query(
    partition: { readonly index?: IndexName; readonly pk: string },
    options: QueryOptions,
  ): Promise<Page<Item>>;
  /**
   * How many items a partition has, counted up to `limit`.
   * @param before only items whose sort key is less than this (exclusive)
   */
  count(
    partition: { readonly index?: IndexName; readonly pk: string },
    limit: number,
    before?: string,
  ): Promise<number>;
  /**
   * All of `ops` or none, one op an item.
   * @param durability @default now
   * @throws ConflictError where a condition does not hold
   * @throws LimitError above `maxWriteOps`, `maxItemBytes` or `maxTransactionBytes`
   */
  write(ops: readonly WriteOp[], durability?: Durability): Promise<void>;
  close(): Promise<void>;
}

/**
 * A consumer of the change feed. It is handed changes in groups and must be idempotent: a group whose handler throws,
 * or that was under way when the process died, is handed out again.
 */
export interface ChangeConsumer {
  /** Names the consumer's place in the feed, which survives restarts. */
  readonly name: string;
  handle(changes: readonly Change[]): Promise<void>;
}

/** The change feed of a table. Locally it is read in the process; in the cloud, streams call Lambda functions. */
export interface ChangeFeed {
  /** Starts to deliver; the returned function stops and resolves when no handler is running. */
  consume(consumer: ChangeConsumer): () => Promise<void>;
}
