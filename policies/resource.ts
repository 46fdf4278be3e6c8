import { UnknownValueError } from '@pulumi/policy';

/** Stands for a value that a preview does not know yet. */
export const notKnown: unique symbol = Symbol('not known before the update');

/** A resource's properties as plain data, in which `notKnown` stands for what a preview does not know. */
export type Properties = Readonly<Record<string, unknown>>;

/** What made a resource: an instance of a provider. */
export interface PolicedProvider {
  readonly urn: string;
  /** `default_7_48_0` and the like for one that the program did not make. */
  readonly name: string;
  readonly props: Properties;
}

/** A resource as policies see it. */
export interface PolicedResource {
  readonly urn: string;
  /** Such as `aws:sqs/queue:Queue`. */
  readonly type: string;
  /** Logical name. */
  readonly name: string;
  /** A resource policy is given inputs, a stack policy outputs, of which AWS's resources repeat their inputs. */
  readonly props: Properties;
  readonly isProtected: boolean;
  /** undefined where it is not told. */
  readonly provider: PolicedProvider | undefined;
}

/** A resource among those of its stack. */
export interface StackResource extends PolicedResource {
  readonly parent: StackResource | undefined;
  readonly dependencies: readonly StackResource[];
}

/** The environment that a resource belongs to: its stack's name, the third part of `urn:pulumi:dev::mimeo::…`. */
export function environmentOf(urn: string): string {
  return urn.split('::')[0]?.split(':')[2] ?? '';
}

/**
 * A copy as plain data. @pulumi/policy throws when a value is read that a preview does not know, and turns the whole
 * policy into advice by that; here such a value is `notKnown`, and each policy says what it makes of it.
 */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return Array.from({ length: value.length }, (_, at) => plainAt(value, at));
  if (!isProperties(value)) return value;
  return Object.fromEntries(Object.keys(value).map((key) => [key, plainAt(value, key)]));
}

function plainAt(holder: object, key: PropertyKey): unknown {
  try {
    return plain(Reflect.get(holder, key));
  } catch (error) {
    if (error instanceof UnknownValueError) return notKnown;
    throw error;
  }
}

/** All properties of a resource, as plain data. */
export function plainProperties(props: unknown): Properties {
  const copy = plain(props);
  return isProperties(copy) ? copy : {};
}

export function isProperties(value: unknown): value is Properties {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is at a path such as `('scalingConfig', 'maxSize')`; `notKnown` where that, or what it is in, is not known. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let found = value;
  for (const key of path) {
    if (found === notKnown) return notKnown;
    if (typeof found !== 'object' || found === null) return undefined;
    found = Reflect.get(found, key);
  }
  return found;
}

/** What is at a path, where it is a text; undefined otherwise. */
export function textAt(value: unknown, ...path: readonly (string | number)[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : undefined;
}

/** What is at a path, as a list: one thing is a list of one, nothing and the unknown are empty. */
export function listAt(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = at(value, ...path);
  if (Array.isArray(found)) return found;
  return found === undefined || found === null || found === notKnown ? [] : [found];
}

/** The texts among what is at a path. */
export function textsAt(value: unknown, ...path: readonly (string | number)[]): readonly string[] {
  return listAt(value, ...path).filter((item) => typeof item === 'string');
}

/** Whether there will be something at a path, be it known or not. */
export function isGiven(value: unknown, ...path: readonly (string | number)[]): boolean {
  const found = at(value, ...path);
  return found !== undefined && found !== null && found !== '';
}

/** Whether a value is true, or the text that some inputs of AWS have for it. */
export function isTrue(value: unknown): boolean {
  return value === true || value === 'true';
}
