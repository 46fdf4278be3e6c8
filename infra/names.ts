import { createHash } from 'node:crypto';

/** What AWS allows a name of each kind to be: its longest form and the letters in it. Source: the services' API references. */
const rules = {
  role: { max: 64 },
  function: { max: 64 },
  queue: { max: 80 },
  bucket: { max: 63, isLowerCase: true },
  table: { max: 255 },
  cluster: { max: 100 },
  nodeGroup: { max: 63 },
  loadBalancer: { max: 32 },
  cache: { max: 40, isLowerCase: true },
  secret: { max: 512 },
  repositoryPrefix: { max: 100, isLowerCase: true },
  logGroup: { max: 512 },
  dashboard: { max: 255 },
  alarm: { max: 255 },
  budget: { max: 100 },
} as const satisfies Record<string, { readonly max: number; readonly isLowerCase?: true }>;

/** Kinds of things whose names AWS shows and limits. */
export type NamedKind = keyof typeof rules;

const hashLength = 8;

/**
 * The name that AWS shows of a thing: the parts, joined by `-`. One that is too long for its kind is cut, and ends in a
 * hash of all of it, so that two long names stay two.
 * @throws Error for a part that is empty or has other letters than a-z, A-Z, 0-9 and -
 */
export function physicalName(kind: NamedKind, ...parts: readonly string[]): string {
  for (const part of parts) {
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/i.test(part)) throw new Error(`"${part}" cannot be part of a name in AWS`);
  }
  const rule: { readonly max: number; readonly isLowerCase?: true } = rules[kind];
  const joined = parts.join('-');
  const name = rule.isLowerCase ? joined.toLowerCase() : joined;
  if (name.length <= rule.max) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, hashLength);
  return `${name.slice(0, rule.max - hashLength - 1).replace(/-+$/, '')}-${hash}`;
}
