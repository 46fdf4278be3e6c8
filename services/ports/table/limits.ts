import {
  type Item,
  indexNames,
  type Key,
  LimitError,
  maxItemBytes,
  maxTransactionBytes,
  maxWriteOps,
  type WriteOp,
} from './port.ts';

/** DynamoDB: bytes of a partition key and of a sort key, in UTF-8. */
const maxPkBytes = 2048;
const maxSkBytes = 1024;

/**
 * What every adapter refuses before it looks at the data: too many ops, two ops on one item, keys that a table
 * cannot hold.
 * @throws LimitError
 */
export function assertOps(ops: readonly WriteOp[]): void {
  if (ops.length > maxWriteOps) {
    throw new LimitError(`A write takes at most ${maxWriteOps} ops, not ${ops.length}`);
  }
  const seen = ops.length > 1 ? new Set<string>() : undefined;
  for (const op of ops) {
    const key = keyOf(op);
    assertKey(key);
    if (op.op === 'put') assertItem(op.item);
    if (seen === undefined) continue;
    // No well-formed key has a lone surrogate, so it separates the two parts.
    const identity = `${key.pk}\ud800${key.sk}`;
    if (seen.has(identity)) {
      throw new LimitError(`A write takes one op an item, and has two for ${key.pk} / ${key.sk}`);
    }
    seen.add(identity);
  }
}

function assertItem({ keys, expiresAt }: Item): void {
  if (expiresAt !== undefined && !Number.isSafeInteger(expiresAt)) {
    throw new LimitError(`An item's expiresAt is in whole seconds, not ${expiresAt}`);
  }
  if (keys === undefined) return;
  for (const name of indexNames) {
    const key = keys[name];
    if (key !== undefined) assertKey(key);
  }
}

/** The key of the item that an op is about. */
export function keyOf(op: WriteOp): Key {
  return op.op === 'put' ? op.item : op.key;
}

/**
 * @param encoded the items that a write puts, each as JSON; undefined for other ops
 * @throws LimitError above `maxItemBytes` or `maxTransactionBytes`
 */
export function assertSizes(encoded: readonly ({ readonly body: string } | undefined)[]): void {
  let total = 0;
  for (const item of encoded) {
    if (item === undefined) continue;
    const bytes = Buffer.byteLength(item.body);
    if (bytes > maxItemBytes) {
      throw new LimitError(`An item may have at most ${maxItemBytes} bytes, not ${bytes}`);
    }
    total += bytes;
  }
  if (total > maxTransactionBytes) {
    throw new LimitError(`A write may have at most ${maxTransactionBytes} bytes, not ${total}`);
  }
}

/** @throws LimitError where a query asks for none or too many */
export function assertLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
    throw new LimitError(`A query's limit is a whole number from 1 to 1000, not ${limit}`);
  }
}

function assertKey({ pk, sk }: Key): void {
  assertKeyPart(pk, 'pk', maxPkBytes);
  assertKeyPart(sk, 'sk', maxSkBytes);
}

function assertKeyPart(part: string, name: string, maxBytes: number): void {
  if (part === '') throw new LimitError(`A key's ${name} may not be empty`);
  if (!part.isWellFormed()) throw new LimitError(`A key's ${name} has half of a surrogate pair`);
  // A UTF-16 unit is at most three bytes of UTF-8: short keys need no exact count.
  if (part.length * 3 > maxBytes && Buffer.byteLength(part) > maxBytes) {
    throw new LimitError(`A key's ${name} may have at most ${maxBytes} bytes: ${part.slice(0, 80)}…`);
  }
}
