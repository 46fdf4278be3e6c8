import { createHash } from 'node:crypto';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { expiryAttribute, indexAttributes } from './dynamodb-schema.ts';
import { type Condition, type IndexName, type Item, indexNames, type Key, type Value } from './port.ts';

export type Attributes = Record<string, AttributeValue>;

/** Partitions that each partition of an index is spread over: one takes 1,000 write units a second (AWS docs). */
export const shardsOf: Readonly<Record<IndexName, number>> = { listing: 1, unfinished: 4, due: 4 };

/** Names that conditions and filters can be about; others go into the JSON. */
const plainName = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
/** DynamoDB's numbers are at most 9.99e125 and at least 1e-130 away from zero. */
const largestNumber = 1e125;
const smallestNumber = 1e-130;

/**
 * An item as DynamoDB keeps it: plain members of `data` as attributes of the map `d`, which conditions can be about,
 * and the rest, nested values and what DynamoDB has no number for, as one JSON text `j`.
 */
export function encodeItem(item: Item): Attributes {
  const plain: Attributes = {};
  const rest: [string, Value][] = [];
  for (const [name, value] of Object.entries(item.data)) {
    // As in JSON, which TypeScript's optional members let in.
    if (value === undefined) continue;
    const attribute = plainName.test(name) ? encodePlain(value) : undefined;
    if (attribute) plain[name] = attribute;
    else rest.push([name, value]);
  }
  const attributes: Attributes = { ...encodeKey(item), d: { M: plain } };
  // Members are kept by name, `__proto__` as well: no object in between.
  if (rest.length > 0) attributes.j = { S: `{${rest.map(encodeMember).join(',')}}` };
  if (item.expiresAt !== undefined) attributes[expiryAttribute] = { N: String(item.expiresAt) };
  for (const index of indexNames) {
    const key = item.keys?.[index];
    if (key === undefined) continue;
    const names = indexAttributes(index);
    attributes[names.pk] = { S: shardPk(index, key.pk, shardOf(index, item)) };
    attributes[names.sk] = { S: key.sk };
  }
  return attributes;
}

/** What counters begin with: an update can add to a member of the item itself, not to one of a map that is not there. */
const counterPrefix = '+';

/** The update that adds to an item's counters, and makes the item where there is none. */
export function addExpression(amounts: { readonly [name: string]: number }): {
  readonly UpdateExpression: string;
  readonly ExpressionAttributeNames: Record<string, string>;
  readonly ExpressionAttributeValues: Attributes;
} {
  const entries = Object.entries(amounts);
  return {
    UpdateExpression: `ADD ${entries.map((_, at) => `#${at} :${at}`).join(', ')}`,
    ExpressionAttributeNames: Object.fromEntries(
      entries.map(([name], at) => [`#${at}`, `${counterPrefix}${name}`]),
    ),
    ExpressionAttributeValues: Object.fromEntries(
      entries.map(([, amount], at) => [`:${at}`, { N: String(amount) }]),
    ),
  };
}

/** The item that `encodeItem` made the attributes of. */
export function decodeItem(attributes: Attributes): Item {
  const data = [
    ...Object.entries(attributes.d?.M ?? {}).map(decodePlain),
    ...decodeRest(attributes.j?.S),
    ...decodeCounters(attributes),
  ];
  const keys = indexNames.flatMap((index) => {
    const names = indexAttributes(index);
    const pk = attributes[names.pk]?.S;
    const sk = attributes[names.sk]?.S;
    return pk === undefined || sk === undefined ? [] : [[index, { pk: unshardPk(index, pk), sk }] as const];
  });
  const expiresAt = attributes[expiryAttribute]?.N;
  return {
    ...decodeKey(attributes),
    data: Object.fromEntries(data),
    ...(keys.length > 0 ? { keys: Object.fromEntries(keys) } : {}),
    ...(expiresAt === undefined ? {} : { expiresAt: Number(expiresAt) }),
  };
}

export function encodeKey({ pk, sk }: Key): Attributes {
  return { pk: { S: pk }, sk: { S: sk } };
}

export function decodeKey(attributes: Attributes): Key {
  return { pk: attributes.pk?.S ?? '', sk: attributes.sk?.S ?? '' };
}

/** The partition of an index's shard. */
export function shardPk(index: IndexName, pk: string, shard: number): string {
  return shardsOf[index] === 1 ? pk : `${pk}~${shard}`;
}

function unshardPk(index: IndexName, pk: string): string {
  return shardsOf[index] === 1 ? pk : pk.slice(0, pk.lastIndexOf('~'));
}

/** By the item's own partition, which never changes. */
function shardOf(index: IndexName, { pk }: Key): number {
  return createHash('sha256').update(pk).digest().readUInt16BE() % shardsOf[index];
}

/** A condition as DynamoDB's expressions have it; an expired item that is still there counts as gone. */
export function conditionExpression(
  when: Condition,
  nowSeconds: number,
): {
  readonly ConditionExpression: string;
  readonly ExpressionAttributeNames: Record<string, string>;
  readonly ExpressionAttributeValues: Attributes;
} {
  const names: Record<string, string> = { '#pk': 'pk', '#expiry': expiryAttribute };
  const values: Attributes = { ':now': { N: String(nowSeconds) } };
  if ('absent' in when) {
    return {
      ConditionExpression: 'attribute_not_exists(#pk) OR #expiry <= :now',
      ExpressionAttributeNames: names,
      ExpressionAttributeValues: values,
    };
  }
  const terms = ['attribute_exists(#pk)', '(attribute_not_exists(#expiry) OR #expiry > :now)'];
  const equals = 'equals' in when ? Object.entries(when.equals) : [];
  if (equals.length > 0) names['#d'] = 'd';
  for (const [place, [name, value]] of equals.entries()) {
    names[`#${place}`] = name;
    // What is missing is no null.
    values[`:${place}`] = value === null ? { S: 'NULL' } : encodeScalar(value);
    terms.push(value === null ? `attribute_type(#d.#${place}, :${place})` : `#d.#${place} = :${place}`);
  }
  return {
    ConditionExpression: terms.join(' AND '),
    ExpressionAttributeNames: names,
    ExpressionAttributeValues: values,
  };
}

/** undefined for what DynamoDB cannot keep as it is, or conditions cannot be about. */
function encodePlain(value: Value): AttributeValue | undefined {
  if (typeof value === 'object' && value !== null) return undefined;
  return typeof value === 'number' && !isPlainNumber(value) ? undefined : encodeScalar(value);
}

function encodeScalar(value: string | number | boolean | null): AttributeValue {
  if (value === null) return { NULL: true };
  if (typeof value === 'string') return { S: value };
  return typeof value === 'boolean' ? { BOOL: value } : { N: String(value) };
}

function isPlainNumber(value: number): boolean {
  const size = Math.abs(value);
  return size === 0 ? !Object.is(value, -0) : size <= largestNumber && size >= smallestNumber;
}

function decodePlain([name, attribute]: [string, AttributeValue]): [string, Value] {
  if (attribute.S !== undefined) return [name, attribute.S];
  if (attribute.N !== undefined) return [name, Number(attribute.N)];
  return [name, attribute.BOOL ?? null];
}

function encodeMember([name, value]: [string, Value]): string {
  return `${JSON.stringify(name)}:${JSON.stringify(value)}`;
}

function decodeRest(json: string | undefined): [string, Value][] {
  return json === undefined ? [] : Object.entries(JSON.parse(json) as Record<string, Value>);
}

function decodeCounters(attributes: Attributes): [string, Value][] {
  return Object.entries(attributes).flatMap(([name, { N }]) =>
    name.startsWith(counterPrefix) ? [[name.slice(counterPrefix.length), Number(N)] as [string, Value]] : [],
  );
}
