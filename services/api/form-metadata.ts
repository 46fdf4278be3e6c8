import { ProblemError } from '../core/errors.ts';

/** Most bytes of all names and values together. */
const maxBytes = 16 * 1024;
/** Objects within objects. */
const maxDepth = 8;

type Value = string | Value[] | { [name: string]: Value };

/** Whether a part's name is one of a field within `metadata`, as the Python client 2.x sends them. */
export function isMetadataField(name: string): boolean {
  return name.startsWith('metadata[');
}

/**
 * The object that fields such as `metadata[origin]`, `metadata[a][b]` and `metadata[list][]` make together. All values
 * are text, which is all that a form can say.
 * @throws ProblemError `invalid_body` where a name is malformed, or two of them contradict each other;
 *   `payload_too_large`
 */
export function metadataOfFields(fields: readonly (readonly [name: string, value: string])[]): {
  [name: string]: Value;
} {
  if (Buffer.byteLength(fields.flat().join('')) > maxBytes)
    throw new ProblemError('payload_too_large', `- metadata: May have ${maxBytes} bytes in all`);
  const root: { [name: string]: Value } = {};
  for (const [name, value] of fields) put(root, keysOf(name), value, name);
  return root;
}

function keysOf(name: string): string[] {
  if (!/^metadata(\[[^[\]]+\])+(\[\])?$/.test(name)) throw invalid(name, 'Must be like metadata[a][b]');
  const keys = [...name.matchAll(/\[([^[\]]*)\]/g)].map(([, key = '']) => key);
  if (keys.length > maxDepth) throw invalid(name, `May be ${maxDepth} levels deep`);
  return keys;
}

function put(root: { [name: string]: Value }, keys: readonly string[], value: string, name: string): void {
  let at = root;
  for (const [place, key] of keys.entries()) {
    const known = Object.hasOwn(at, key) ? at[key] : undefined;
    const isLast = place === keys.length - 1;
    if (keys[place + 1] === '') {
      if (known !== undefined && !Array.isArray(known)) throw invalid(name, 'Is given in two ways');
      define(at, key, [...(known ?? []), value]);
      return;
    }
    if (isLast ? known !== undefined : typeof known === 'string' || Array.isArray(known))
      throw invalid(name, 'Is given in two ways');
    if (isLast) define(at, key, value);
    else {
      const next = (known as { [name: string]: Value } | undefined) ?? {};
      define(at, key, next);
      at = next;
    }
  }
}

/** An assignment to `__proto__` would set no property. */
function define(object: { [name: string]: Value }, key: string, value: Value): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

function invalid(name: string, what: string): ProblemError {
  return new ProblemError('invalid_body', `- ${name.slice(0, 80).toWellFormed()}: ${what}`);
}
