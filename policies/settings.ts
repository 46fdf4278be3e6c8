import { z } from 'zod';

/** What a person may set of a policy, and how it is read. */
export interface Setting<Value> {
  /** JSON schema, as @pulumi/policy wants it. */
  readonly schema: {
    readonly type: 'object' | 'array';
    readonly description: string;
    readonly default: object;
    readonly items?: { readonly type: 'string' };
    readonly additionalProperties?: object;
  };
  /**
   * The value in one environment.
   * @param given what a person set; undefined where nothing
   */
  read(given: unknown, environment: string): Value;
}

/** Settings of one policy by their names. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** The values of settings in one environment. */
export type Values<Of extends Settings> = {
  readonly [Name in keyof Of]: Of[Name] extends Setting<infer Value> ? Value : never;
};

/** An environment of another name is held to what dev is held to, the strictest. */
const strictest = 'dev';

/** A number that each environment has its own of. Those that are not named keep their default. */
export function numberByEnvironment(
  description: string,
  defaults: Readonly<Record<string, number>>,
): Setting<number> {
  const values = z.record(z.string(), z.number()).default({});
  return {
    schema: { type: 'object', description, default: defaults, additionalProperties: { type: 'number' } },
    read: (given, environment) => ofEnvironment({ ...defaults, ...values.parse(given) }, environment),
  };
}

/** A list that each environment has its own of. Those that are not named keep their default. */
export function listByEnvironment(
  description: string,
  defaults: Readonly<Record<string, readonly string[]>>,
): Setting<readonly string[]> {
  const values = z.record(z.string(), z.array(z.string())).default({});
  return {
    schema: {
      type: 'object',
      description,
      default: defaults,
      additionalProperties: { type: 'array', items: { type: 'string' } },
    },
    read: (given, environment) => ofEnvironment({ ...defaults, ...values.parse(given) }, environment),
  };
}

/** A list that holds in every environment. */
export function list(description: string, defaults: readonly string[]): Setting<readonly string[]> {
  const values = z.array(z.string()).default([...defaults]);
  return {
    schema: { type: 'array', description, default: defaults, items: { type: 'string' } },
    read: (given) => values.parse(given),
  };
}

/** Whether the environment is one of those named. */
export function whereEnvironment(description: string, defaults: readonly string[]): Setting<boolean> {
  const names = list(description, defaults);
  return {
    schema: names.schema,
    read: (given, environment) => names.read(given, environment).includes(environment),
  };
}

function ofEnvironment<Value>(values: Readonly<Record<string, Value>>, environment: string): Value {
  const value = values[environment] ?? values[strictest];
  if (value === undefined) throw new Error(`There is no default for ${strictest}`);
  return value;
}

/** @throws Error naming the setting, for a value of the wrong form */
export function readSettings<Of extends Settings>(
  settings: Of,
  given: Readonly<Record<string, unknown>>,
  environment: string,
): Values<Of> {
  const values = Object.entries(settings).map(([name, setting]) => {
    try {
      return [name, setting.read(given[name], environment)];
    } catch (cause) {
      throw new Error(`${name} is not what the policy's setting takes`, { cause });
    }
  });
  return Object.fromEntries(values) as Values<Of>;
}
