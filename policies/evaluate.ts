import {
  type PolicyProviderResource,
  type PolicyResource,
  type PolicyResourceOptions,
  type ResourceValidationArgs,
  type ResourceValidationPolicy,
  type StackValidationPolicy,
  UnknownValueError,
  unknownCheckingProxy,
} from '@pulumi/policy';
import type { StackConfig } from '../infra/config.ts';
import type { RecordedResource } from '../infra/plan/record.ts';
import { createPolicies } from './pack.ts';
import type { Policy } from './policy.ts';
import type { MonthlyUsd } from './pricing.ts';
import { environmentOf } from './resource.ts';

/** Something that a policy finds wrong. */
export interface Violation {
  /** undefined where the stack as a whole is meant. */
  readonly urn: string | undefined;
  readonly message: string;
}

/** What one policy makes of a stack. */
export interface Verdict {
  /** Its name. */
  readonly policy: string;
  readonly description: string;
  readonly enforcement: 'mandatory' | 'advisory';
  readonly verdict: 'pass' | 'fail';
  readonly violations: readonly Violation[];
}

/**
 * What the pack says of recorded resources, without an engine: resource policies of inputs, stack policies of outputs
 * with their inputs beside them, by the settings' defaults.
 * @param cost USD a month, as the plan reckons it
 * @throws Error where the resources are of another environment than the configuration
 */
export function evaluatePolicies(
  resources: readonly RecordedResource[],
  { environment }: Pick<StackConfig, 'environment'>,
  cost: MonthlyUsd,
): readonly Verdict[] {
  const stray = resources.find(({ urn }) => environmentOf(urn) !== environment);
  if (stray) throw new Error(`${stray.urn} is no resource of ${environment}`);
  return createPolicies(() => cost).map((policy) => judge(policy, resources));
}

/**
 * What one policy says of resources.
 * @param settings in place of its defaults
 * @throws Error what the policy throws
 */
export function judge(
  policy: Policy,
  resources: readonly RecordedResource[],
  settings: Readonly<Record<string, unknown>> = {},
): Verdict {
  const violations: Violation[] = [];
  if ('validateStack' in policy) {
    const args = { resources: policyResources(resources), ...environmentOfEngine(settings) };
    attempt(() => policy.validateStack(args, (message, urn) => violations.push({ urn, message })));
  } else {
    const providers = providersOf(resources);
    for (const resource of resources) {
      const args = resourceArgs(resource, providers, settings);
      for (const validate of validationsOf(policy)) {
        attempt(() => validate(args, (message) => violations.push({ urn: resource.urn, message })));
      }
    }
  }
  return {
    policy: policy.name,
    description: policy.description,
    enforcement: policy.enforcementLevel === 'mandatory' ? 'mandatory' : 'advisory',
    verdict: violations.length > 0 ? 'fail' : 'pass',
    violations,
  };
}

type Validation = Extract<ResourceValidationPolicy['validateResource'], (...args: never[]) => unknown>;

function validationsOf({ validateResource = [] }: ResourceValidationPolicy): readonly Validation[] {
  return Array.isArray(validateResource) ? validateResource : [validateResource];
}

/** A preview may know too little for a policy: the engine says so as advice, and asks again at the update. */
function attempt(validate: () => ReturnType<StackValidationPolicy['validateStack']>): void {
  try {
    if (validate() instanceof Promise) throw new Error('Policies of this pack answer at once');
  } catch (error) {
    if (!(error instanceof UnknownValueError)) throw error;
  }
}

function environmentOfEngine(settings: Readonly<Record<string, unknown>>) {
  return {
    stackTags: new Map<string, string>(),
    getConfig: <Config extends object>() => settings as Config,
    notApplicable: (reason?: string): never => {
      throw new Error(reason ?? 'does not apply');
    },
  };
}

type Providers = ReadonlyMap<string, PolicyProviderResource>;

function providersOf(resources: readonly RecordedResource[]): Providers {
  const providers = resources.filter(({ type }) => type.startsWith('pulumi:providers:'));
  return new Map(
    providers.map(({ urn, type, name, inputs }) => [
      urn,
      { urn, type, name, props: unknownCheckingProxy({ ...inputs }) },
    ]),
  );
}

/** A provider is named as URN::ID, and as nothing where it is a default one. */
function providerOf(
  { provider, type, urn }: RecordedResource,
  providers: Providers,
): PolicyProviderResource | undefined {
  const found = providers.get(provider) ?? providers.get(provider.replace(/::[^:]*$/, ''));
  if (found) return found;
  const [kind = ''] = type.split(':');
  if (kind === 'pulumi') return undefined;
  const name = `default_${kind}`;
  return {
    urn: urn.replace(/::[^:]*::[^:]*$/, `::pulumi:providers:${kind}::${name}`),
    type: `pulumi:providers:${kind}`,
    name,
    props: {},
  };
}

function optionsOf({ isProtected, ignoreChanges, parent }: RecordedResource): PolicyResourceOptions {
  return {
    protect: isProtected,
    ignoreChanges: [...ignoreChanges],
    aliases: [],
    customTimeouts: { createSeconds: 0, updateSeconds: 0, deleteSeconds: 0 },
    additionalSecretOutputs: [],
    parent,
  };
}

function resourceArgs(
  resource: RecordedResource,
  providers: Providers,
  settings: Readonly<Record<string, unknown>>,
): ResourceValidationArgs {
  const { type, urn, name, inputs } = resource;
  return {
    ...typeTests(type),
    ...environmentOfEngine(settings),
    type,
    urn,
    name,
    props: unknownCheckingProxy({ ...inputs }),
    opts: optionsOf(resource),
    provider: providerOf(resource, providers),
  };
}

/** Policies of this pack go by types' names: classes would have to be loaded, which takes a second. */
function typeTests(type: string) {
  const refuse = (): never => {
    throw new Error(`Ask for the type's name, ${type}`);
  };
  return { isType: refuse, asType: refuse };
}

function policyResources(resources: readonly RecordedResource[]): PolicyResource[] {
  const providers = providersOf(resources);
  const byUrn = new Map<string, PolicyResource>();
  for (const resource of resources) {
    const { urn, type, name, inputs, outputs } = resource;
    byUrn.set(urn, {
      ...typeTests(type),
      urn,
      type,
      name,
      props: unknownCheckingProxy({ ...inputs, ...outputs }),
      opts: optionsOf(resource),
      provider: providerOf(resource, providers),
      dependencies: [],
      propertyDependencies: {},
    });
  }
  for (const { urn, parent, dependencies } of resources) {
    const resource = byUrn.get(urn);
    if (!resource) continue;
    resource.parent = parent === undefined ? undefined : byUrn.get(parent);
    resource.dependencies = dependencies.flatMap((one) => byUrn.get(one) ?? []);
  }
  return [...byUrn.values()];
}
