import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Attributes } from '../../services/ports/table/dynamodb-items.ts';
import { expiryAttribute, indexAttributes } from '../../services/ports/table/dynamodb-schema.ts';
import { indexNames } from '../../services/ports/table/port.ts';

/**
 * What DynamoDB charges, by the rules of its developer guide ("Item sizes and formats", "Read and write operations",
 * "Using Global Secondary Indexes"), because an emulated one reckons differently.
 */

/** Bytes of an item. */
export function itemBytes(item: Attributes): number {
  return Object.entries(item).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + valueBytes(value),
    0,
  );
}

function valueBytes(value: AttributeValue): number {
  if (value.S !== undefined) return Buffer.byteLength(value.S);
  // Two digits a byte, and one more byte.
  if (value.N !== undefined) return Math.ceil(value.N.replace(/[-.]/g, '').length / 2) + 1;
  if (value.B !== undefined) return value.B.byteLength;
  // Three bytes for the map, one for each of its members.
  if (value.M !== undefined) return 3 + Object.keys(value.M).length + itemBytes(value.M);
  return 1;
}

/**
 * Units of a write that turns `before` into `after`: of the item, and of each index that it touches. A transaction writes
 * the item twice, to prepare and to commit; the indexes follow once it is done ("DynamoDB Transactions: How it works").
 */
export function writeUnits(
  before: Attributes | undefined,
  after: Attributes | undefined,
  { isTransaction = false } = {},
): number {
  const own = kilobytes(Math.max(bytesOf(before), bytesOf(after)));
  const indexes = indexNames.map((index) => entryUnits(entryOf(before, index), entryOf(after, index)));
  return indexes.reduce((sum, units) => sum + units, isTransaction ? 2 * own : own);
}

/** Units of reading items together. */
export function readUnits(bytes: number, isConsistent: boolean): number {
  return Math.max(1, Math.ceil(bytes / 4096)) * (isConsistent ? 1 : 0.5);
}

/** An item as an index holds it; undefined where it is not in it. */
export function entryOf(
  item: Attributes | undefined,
  index: (typeof indexNames)[number],
): Attributes | undefined {
  const names = indexAttributes(index);
  if (item?.[names.pk] === undefined || item[names.sk] === undefined) return undefined;
  const projected = ['pk', 'sk', names.pk, names.sk, expiryAttribute];
  return Object.fromEntries(Object.entries(item).filter(([name]) => projected.includes(name)));
}

/** An entry whose key changes is deleted and put. */
function entryUnits(before: Attributes | undefined, after: Attributes | undefined): number {
  if (JSON.stringify(before) === JSON.stringify(after)) return 0;
  if (!before || !after) return kilobytes(Math.max(bytesOf(before), bytesOf(after)));
  const isMoved = keyText(before) !== keyText(after);
  return isMoved ? kilobytes(bytesOf(before)) + kilobytes(bytesOf(after)) : kilobytes(bytesOf(after));
}

function keyText(entry: Attributes): string {
  const { [expiryAttribute]: _, ...key } = entry;
  return JSON.stringify(Object.entries(key).sort(([a], [b]) => a.localeCompare(b)));
}

function bytesOf(item: Attributes | undefined): number {
  return item ? itemBytes(item) : 0;
}

function kilobytes(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / 1024));
}
