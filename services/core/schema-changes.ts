import { TimeLimitError, withTimeLimit } from './time-limit.ts';
import type { Version } from './version.ts';

type Document = Version['openapiSchema'];
type Schema = Readonly<Record<string, unknown>>;

/** More changes than this say no more than that it is another model. */
const maxChanges = 50;
const maxChangeLength = 300;
/** Deeper than this a schema is taken for the same: it may refer to itself. */
const maxDepth = 16;
/** Choices that refer to choices grow with every level: a document that was made for it would never be done. */
const compareLimitMs = 500;

/**
 * What of a version's interface would break callers of the one before it, a sentence each: an input that is gone, that
 * is required now or takes less than it did, and an output of another type. What is only added breaks nobody.
 * Both are OpenAPI documents as Cog writes them, and are not trusted: at most 50 sentences of 300 characters.
 */
export function findBreakingChanges(previous: Document, next: Document): readonly string[] {
  try {
    return withTimeLimit(compareLimitMs, () => compare(previous, next));
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    return ['the schema is so entangled that it was not compared with the one before'];
  }
}

function compare(previous: Document, next: Document): readonly string[] {
  const changes = [
    ...objectNarrowings(
      { schema: named(previous, 'Input'), document: previous },
      { schema: named(next, 'Input'), document: next },
      (name) => `input \`${name}\``,
      0,
    ),
    ...outputChanges(previous, next),
  ];
  return [...new Set(changes)].slice(0, maxChanges).map(clean);
}

/** A schema and the document that its references point into. */
interface Place {
  readonly schema: Schema;
  readonly document: Document;
}

/** What an object of named members takes less of than it did. */
function objectNarrowings(
  previous: Place,
  next: Place,
  nameOf: (member: string) => string,
  depth: number,
): string[] {
  const before = propertiesOf(previous.schema);
  const after = propertiesOf(next.schema);
  const wasRequired = requiredOf(previous.schema);
  const required = requiredOf(next.schema);
  const gone = Object.keys(before).filter((name) => !Object.hasOwn(after, name));
  const demanded = required.filter((name) => !wasRequired.includes(name));
  const narrowed = Object.entries(before).flatMap(([name, schema]) => {
    const now = Object.hasOwn(after, name) ? after[name] : undefined;
    if (now === undefined) return [];
    return narrowings(
      { schema, document: previous.document },
      { schema: now, document: next.document },
      nameOf(name),
      depth + 1,
    );
  });
  return [
    ...gone.map((name) => `${nameOf(name)} is gone`),
    ...demanded.map((name) =>
      Object.hasOwn(before, name) ? `${nameOf(name)} is now required` : `${nameOf(name)} is new and required`,
    ),
    ...narrowed,
  ];
}

/** What a value that was good may now be refused for. */
function narrowings(previous: Place, next: Place, where: string, depth: number): string[] {
  if (depth > maxDepth) return [];
  const after = alternatives(next, depth);
  return alternatives(previous, depth).flatMap((before) => {
    const candidates = after
      .filter((candidate) => covers(kindOf(candidate), kindOf(before)))
      .map((candidate) => {
        const old = { schema: before, document: previous.document };
        return constraints(old, { schema: candidate, document: next.document }, where, depth);
      });
    const [first, ...others] = candidates;
    if (!first) return [`${where} takes ${describe(next, depth)} instead of ${describe(previous, depth)}`];
    return others.reduce((least, found) => (found.length < least.length ? found : least), first);
  });
}

/** What a value of one kind has to fulfil now and had not before. */
function constraints(previous: Place, next: Place, where: string, depth: number): string[] {
  const { schema: before } = previous;
  const { schema: after } = next;
  return [
    ...lostChoices(before, after, where),
    ...tightened(before, after).map((rule) => `${where} must now ${rule}`),
    ...(typeof after.pattern === 'string' && after.pattern !== before.pattern
      ? [`${where} must now match the pattern ${after.pattern}`]
      : []),
    ...(kindOf(before) === 'array'
      ? narrowings(
          { ...previous, schema: asSchema(before.items) },
          { ...next, schema: asSchema(after.items) },
          `each element of ${where}`,
          depth + 1,
        )
      : []),
    ...(kindOf(before) === 'object'
      ? objectNarrowings(previous, next, (name) => `${where}.${name}`, depth)
      : []),
  ];
}

function lostChoices(before: Schema, after: Schema, where: string): string[] {
  if (!Array.isArray(after.enum)) return [];
  const now = new Set(after.enum.map(asText));
  if (!Array.isArray(before.enum)) return [`${where} takes only ${[...now].join(', ')} now`];
  const lost = before.enum.map(asText).filter((choice) => !now.has(choice));
  return lost.length === 0 ? [] : [`${where} no longer takes ${lost.join(', ')}`];
}

const lowerBounds = {
  minimum: 'be at least',
  minLength: 'have a length of at least',
  minItems: 'have as many elements as',
} as const;
const upperBounds = {
  maximum: 'be at most',
  maxLength: 'have a length of at most',
  maxItems: 'have no more elements than',
} as const;

function tightened(before: Schema, after: Schema): string[] {
  const found = (
    rules: Readonly<Record<string, string>>,
    isTighter: (now: number, then: number) => boolean,
  ) =>
    Object.entries(rules).flatMap(([keyword, rule]) => {
      const now = after[keyword];
      const then = before[keyword];
      if (typeof now !== 'number') return [];
      return typeof then !== 'number' || isTighter(now, then) ? [`${rule} ${now}`] : [];
    });
  return [...found(lowerBounds, (now, then) => now > then), ...found(upperBounds, (now, then) => now < then)];
}

/** An output is read by callers, so anything but an addition to an object may break them. */
function outputChanges(previous: Document, next: Document): string[] {
  const before = { schema: named(previous, 'Output'), document: previous };
  const after = { schema: named(next, 'Output'), document: next };
  const was = describe(before, 0);
  const is = describe(after, 0);
  if (was !== is) return [`the output is ${is} instead of ${was}`];
  return lostMembers(before, after, 'the output', 0);
}

function lostMembers(previous: Place, next: Place, where: string, depth: number): string[] {
  if (depth > maxDepth) return [];
  const [before] = alternatives(previous, depth);
  const [after] = alternatives(next, depth);
  if (!before || !after) return [];
  if (kindOf(before) === 'array') {
    const old = { ...previous, schema: asSchema(before.items) };
    return lostMembers(
      old,
      { ...next, schema: asSchema(after.items) },
      `each element of ${where}`,
      depth + 1,
    );
  }
  const members = propertiesOf(after);
  return Object.entries(propertiesOf(before)).flatMap(([name, schema]) => {
    const now = Object.hasOwn(members, name) ? members[name] : undefined;
    if (now === undefined) return [`${where} has no \`${name}\` any more`];
    const old = { ...previous, schema };
    const fresh = { ...next, schema: now };
    const was = describe(old, depth + 1);
    const is = describe(fresh, depth + 1);
    if (was !== is) return [`\`${name}\` of ${where} is ${is} instead of ${was}`];
    return lostMembers(old, fresh, `\`${name}\` of ${where}`, depth + 1);
  });
}

/** A type in words, such as `array of file`, `iterator of string` or `integer or string`. */
function describe(place: Place, depth: number): string {
  if (depth > maxDepth) return 'any';
  const kinds = alternatives(place, depth).map((schema) => {
    const kind = kindOf(schema);
    if (kind !== 'array') return kind;
    const items = describe({ ...place, schema: asSchema(schema.items) }, depth + 1);
    return `${schema['x-cog-array-type'] === 'iterator' ? 'iterator' : 'array'} of ${items}`;
  });
  return [...new Set(kinds)].sort().join(' or ');
}

/** The ways in which a value may be good, without references; null is none, as an input that is null is left out. */
function alternatives(place: Place, depth: number): Schema[] {
  const schema = resolve(place, depth);
  for (const keyword of ['anyOf', 'oneOf']) {
    const options = schema[keyword];
    if (!Array.isArray(options) || depth > maxDepth) continue;
    const { [keyword]: _options, ...rest } = schema;
    return options
      .flatMap((option) => alternatives({ ...place, schema: asSchema(option) }, depth + 1))
      .map((option) => ({ ...rest, ...option }));
  }
  if (!Array.isArray(schema.type)) return schema.type === 'null' ? [] : [schema];
  return schema.type.filter((type) => type !== 'null').map((type) => ({ ...schema, type }));
}

/** A schema with what its `$ref` and `allOf` bring along, as Cog refers to a choice's enum. */
function resolve({ schema, document }: Place, depth: number): Schema {
  if (depth > maxDepth) return {};
  const { $ref, allOf, ...own } = schema;
  const name = typeof $ref === 'string' ? /^#\/components\/schemas\/([^/]+)$/.exec($ref)?.[1] : undefined;
  const parts = [
    ...(name === undefined ? [] : [named(document, name)]),
    ...(Array.isArray(allOf) ? allOf.map(asSchema) : []),
  ];
  return Object.assign({}, ...parts.map((part) => resolve({ schema: part, document }, depth + 1)), own);
}

/** What a value is to a caller. Cog writes a file as a string of format `uri`. */
function kindOf(schema: Schema): string {
  if (schema.type === 'string') return schema.format === 'uri' ? 'file' : 'string';
  if (typeof schema.type === 'string') return schema.type;
  if (schema.properties) return 'object';
  const [choice] = Array.isArray(schema.enum) ? schema.enum : [];
  return choice === undefined ? 'any' : typeof choice;
}

function covers(now: string, then: string): boolean {
  return now === then || now === 'any' || (now === 'number' && then === 'integer');
}

function named(document: Document, name: string): Schema {
  const schemas = asSchema(asSchema(document.components).schemas);
  return Object.hasOwn(schemas, name) ? asSchema(schemas[name]) : {};
}

function propertiesOf(schema: Schema): Readonly<Record<string, Schema>> {
  const entries = Object.entries(asSchema(schema.properties));
  return Object.fromEntries(entries.map(([name, property]) => [name, asSchema(property)]));
}

function requiredOf(schema: Schema): string[] {
  return Array.isArray(schema.required) ? schema.required.filter((name) => typeof name === 'string') : [];
}

function asSchema(value: unknown): Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : {};
}

function asText(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing';
}

/** Fit to be stored and to be shown on a terminal: names and patterns are the model's own words. */
function clean(change: string): string {
  const text = change.replace(/\p{Cc}/gu, '�').toWellFormed();
  return text.length <= maxChangeLength ? text : `${text.slice(0, maxChangeLength - 1).toWellFormed()}…`;
}
