/** Inputs of a resource are of any shape: these read them, and take what is missing or unknown for undefined. */

/** What lies at a path, such as `scalingConfig`, `maxSize`. */
export function valueAt(inputs: unknown, ...path: readonly (string | number)[]): unknown {
  let at = inputs;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = Reflect.get(at, key);
  }
  return at;
}

/** A number, or a text that is one, as some inputs of ECS are. */
export function numberAt(inputs: unknown, ...path: readonly (string | number)[]): number | undefined {
  const value = valueAt(inputs, ...path);
  if (typeof value === 'string' && /^\d+(\.\d+)?$/.test(value)) return Number(value);
  return typeof value === 'number' ? value : undefined;
}

export function textAt(inputs: unknown, ...path: readonly (string | number)[]): string | undefined {
  const value = valueAt(inputs, ...path);
  return typeof value === 'string' ? value : undefined;
}

/** A list; empty where there is none. */
export function listAt(inputs: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const value = valueAt(inputs, ...path);
  return Array.isArray(value) ? value : [];
}
