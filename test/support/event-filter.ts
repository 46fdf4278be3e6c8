/** A pattern of EventBridge's language, of which FilterCriteria of event source mappings are made. */
export type FilterPattern = { readonly [name: string]: FilterPattern | readonly Rule[] };
type Rule = string | number | boolean | null | { readonly exists: boolean } | { readonly prefix: string };

/**
 * Whether an event matches, as Lambda decides it: each named leaf by one of its rules. Rules that we do not use are
 * unknown here.
 * https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
 */
export function matchesFilter(event: unknown, pattern: FilterPattern): boolean {
  return Object.entries(pattern).every(([name, inner]) => {
    const value = isObject(event) ? event[name] : undefined;
    return isRules(inner) ? inner.some((rule) => holds(rule, value)) : matchesFilter(value, inner);
  });
}

function holds(rule: Rule, value: unknown): boolean {
  if (typeof rule !== 'object' || rule === null) return value === rule;
  if ('exists' in rule) return (value !== undefined) === rule.exists;
  return typeof value === 'string' && value.startsWith(rule.prefix);
}

function isRules(inner: FilterPattern | readonly Rule[]): inner is readonly Rule[] {
  return Array.isArray(inner);
}

function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null;
}
