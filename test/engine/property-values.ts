/**
 * Property values as Pulumi sends them: JSON, in which some objects stand for something else and say so by a signature.
 * Source: @pulumi/pulumi, runtime/rpc.js, and sdk/go/common/resource/plugin/rpc.go.
 */
const signatureKey = '4dabf18193072939515e22adb298388d';
const signatures = {
  secret: '1b47061264138c4ac30d75fd1eb44270',
  output: 'd0e6a833031e9bbcd3f4e8bde6ca49a4',
} as const;

/** What stands for a value that is not known before something has been made. */
export const unknownValue = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';

export type Properties = Readonly<Record<string, unknown>>;

/** Without what wraps secrets and outputs: an output that is unknown is `unknownValue`. */
export function plainValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value !== 'object' || value === null) return value;
  const object = value as Properties;
  const signature = object[signatureKey];
  if (signature === signatures.secret) return plainValue(object.value);
  if (signature === signatures.output)
    return object.value === undefined ? unknownValue : plainValue(object.value);
  return Object.fromEntries(Object.entries(object).map(([key, each]) => [key, plainValue(each)]));
}

/** The same for all of a resource's properties. */
export function plainProperties(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, plainValue(value)]));
}

/** Names of the properties that differ. */
export function changedProperties(before: Properties, after: Properties): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => canonical(before[name]) !== canonical(after[name])).sort();
}

/** What is known before a resource is made: what it was given. The rest of what it will say is unknown. */
export function previewOf(inputs: Properties, state: Properties): Properties {
  return Object.fromEntries(
    Object.entries(state).map(([key, value]) => [
      key,
      canonical(value) === canonical(inputs[key]) ? value : unknownValue,
    ]),
  );
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, each: unknown) =>
      typeof each === 'object' && each !== null && !Array.isArray(each)
        ? Object.fromEntries(Object.entries(each).sort(([one], [other]) => (one < other ? -1 : 1)))
        : each,
    ) ?? 'undefined'
  );
}
