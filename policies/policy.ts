import type {
  EnforcementLevel,
  PolicyConfigSchema,
  PolicyProviderResource,
  PolicyResource,
  ResourceValidationPolicy,
  StackValidationPolicy,
} from '@pulumi/policy';
import {
  environmentOf,
  type PolicedProvider,
  type PolicedResource,
  plainProperties,
  type StackResource,
} from './resource.ts';
import { readSettings, type Settings, type Values } from './settings.ts';

/** A policy of the pack; every one has a level of its own. */
export type Policy = (ResourceValidationPolicy | StackValidationPolicy) & {
  readonly enforcementLevel: EnforcementLevel;
};

interface About<Of extends Settings> {
  /** Lower-case words joined by -, like its file. */
  readonly name: string;
  /** One sentence: what should be. */
  readonly description: string;
  /** Mandatory for security and money; advisory where a person may have reasons. */
  readonly enforcement: 'mandatory' | 'advisory';
  readonly settings?: Of;
}

/** What a check goes by beside the resources. */
export interface Context<Of extends Settings> {
  /** The stack's name. */
  readonly environment: string;
  readonly settings: Values<Of>;
}

export interface ResourcePolicyDefinition<Of extends Settings> extends About<Of> {
  /** Types of resources that it looks at; all where nothing is said. */
  readonly types?: readonly string[];
  /**
   * What is wrong with one resource, and how to mend it: sentences that go on after its name.
   * @throws NotKnown where a preview cannot tell
   */
  check(resource: PolicedResource, context: Context<Of>): readonly string[];
}

/** What is wrong with a stack, and how to mend it. */
export interface StackViolation {
  /** Which resource; undefined for the stack as a whole. */
  readonly resource?: PolicedResource;
  /** Goes on after the resource's name, or stands by itself. */
  readonly message: string;
}

export interface StackPolicyDefinition<Of extends Settings> extends About<Of> {
  /** It is not called for a stack without resources. */
  check(resources: readonly StackResource[], context: Context<Of>): readonly StackViolation[];
}

/** A preview does not know a property that a rule is about; the update will. */
export class NotKnown extends Error {
  override name = 'NotKnown';
  readonly path: readonly (string | number)[];

  constructor(path: readonly (string | number)[]) {
    super(`${path.join('.')} is not known before the update`);
    this.path = path;
  }
}

/** A policy that looks at one resource by itself. */
export function resourcePolicy<Of extends Settings = Record<never, never>>(
  definition: ResourcePolicyDefinition<Of>,
): Policy {
  const { types, settings } = definition;
  return {
    ...aboutPolicy(definition),
    validateResource(args, report) {
      if (types && !types.includes(args.type)) return;
      const environment = environmentOf(args.urn);
      const resource = {
        urn: args.urn,
        type: args.type,
        name: args.name,
        props: plainProperties(args.props),
        isProtected: args.opts.protect,
        provider: providerOf(args.provider),
      };
      const context = { environment, settings: valuesOf(settings, args.getConfig(), environment) };
      try {
        for (const message of definition.check(resource, context)) report(`${args.name} ${message}`);
      } catch (error) {
        if (!(error instanceof NotKnown)) throw error;
        // Reading it makes @pulumi/policy say so, as advice.
        read(args.props, error.path);
        throw error;
      }
    },
  };
}

/** A policy that looks at all resources of a stack together. What a preview does not know must not throw here. */
export function stackPolicy<Of extends Settings = Record<never, never>>(
  definition: StackPolicyDefinition<Of>,
): Policy {
  return {
    ...aboutPolicy(definition),
    validateStack(args, report) {
      const [first] = args.resources;
      if (!first) return;
      const environment = environmentOf(first.urn);
      const settings = valuesOf(definition.settings, args.getConfig(), environment);
      const resources = stackResources(args.resources);
      for (const { resource, message } of definition.check(resources, { environment, settings })) {
        report(resource ? `${resource.name} ${message}` : message, resource?.urn);
      }
    },
  };
}

function aboutPolicy<Of extends Settings>({
  name,
  description,
  enforcement,
  settings,
}: About<Of>): {
  name: string;
  description: string;
  enforcementLevel: EnforcementLevel;
  configSchema?: PolicyConfigSchema;
} {
  const about = { name, description, enforcementLevel: enforcement };
  if (!settings) return about;
  const properties = Object.entries(settings).map(([key, { schema }]) => [key, { ...schema }]);
  return { ...about, configSchema: { properties: Object.fromEntries(properties) } };
}

function valuesOf<Of extends Settings>(
  settings: Of | undefined,
  given: Readonly<Record<string, unknown>>,
  environment: string,
): Values<Of> {
  return settings ? readSettings(settings, given, environment) : ({} as Values<Of>);
}

function providerOf(provider: PolicyProviderResource | undefined): PolicedProvider | undefined {
  if (!provider) return undefined;
  return { urn: provider.urn, name: provider.name, props: plainProperties(provider.props) };
}

/** Plain copies that point to one another as the resources do. */
function stackResources(resources: readonly PolicyResource[]): readonly StackResource[] {
  const copies = new Map<string, { -readonly [Key in keyof StackResource]: StackResource[Key] }>();
  for (const { urn, type, name, props, provider, opts } of resources) {
    copies.set(urn, {
      urn,
      type,
      name,
      props: plainProperties(props),
      isProtected: opts.protect,
      provider: providerOf(provider),
      parent: undefined,
      dependencies: [],
    });
  }
  for (const { urn, parent, dependencies } of resources) {
    const copy = copies.get(urn);
    if (!copy) continue;
    copy.parent = parent && copies.get(parent.urn);
    copy.dependencies = dependencies.flatMap((one) => copies.get(one.urn) ?? []);
  }
  return [...copies.values()];
}

function read(value: unknown, path: readonly (string | number)[]): void {
  let found = value;
  for (const key of path) {
    if (typeof found !== 'object' || found === null) return;
    found = Reflect.get(found, key);
  }
}
