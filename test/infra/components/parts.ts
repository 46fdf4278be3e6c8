import type { Output } from '@pulumi/pulumi';
import type { StackIdentity } from '../../../infra/components/component.ts';
import type { Grantee } from '../../../infra/components/grant.ts';
import { parseConfig, type StackConfig } from '../../../infra/config.ts';
import { type RecordedResource, type Recording, record } from '../../../infra/plan/record.ts';

/** What the mocks answer for. */
export const account = '123456789012';

export const identity: StackIdentity = { project: 'mimeo', environment: 'test', region: 'us-east-1' };

/** Records what a program of one or a few components asks for. */
export async function recordParts<T>(program: () => Promise<T>): Promise<Recording<T>> {
  return await record(program, { project: identity.project, environment: identity.environment });
}

/** A configuration with defaults, but for what is given. */
export function configOf(settings: Readonly<Record<string, unknown>> = {}): StackConfig {
  return parseConfig({
    project: identity.project,
    environment: 'dev',
    region: identity.region,
    settings: {
      cluster: { endpointCidrs: ['203.0.113.7/32'] },
      api: { allowedCidrs: ['203.0.113.7/32'] },
      guardrails: { monthlyBudgetUsd: 5000 },
      ...settings,
    },
  });
}

/** A role to grant something to. */
export async function grantee(name = 'reader'): Promise<Grantee> {
  const { serviceRole } = await import('../../../infra/components/grant.ts');
  return serviceRole(name, 'lambda.amazonaws.com', {});
}

export function ofType(recording: Recording<unknown>, type: string): readonly RecordedResource[] {
  return recording.resources.filter((one) => one.type === type);
}

/** The only resource of a type. @throws Error where there is none or another */
export function only(recording: Recording<unknown>, type: string): RecordedResource {
  const [found, ...others] = ofType(recording, type);
  if (!found || others.length > 0) throw new Error(`There are ${others.length + (found ? 1 : 0)} of ${type}`);
  return found;
}

interface Statement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Principal?: unknown;
  readonly Condition?: unknown;
}

/** The statements of a policy's document. */
export function statements(document: unknown): readonly Statement[] {
  const { Statement } = JSON.parse(String(document)) as { Statement: readonly Statement[] };
  return Statement;
}

/** What a policy of this logical name allows: `action resource`, sorted. */
export function allowed(recording: Recording<unknown>, name: string): readonly string[] {
  const policy = recording.resources.find(
    (one) => one.type === 'aws:iam/rolePolicy:RolePolicy' && one.name === name,
  );
  if (!policy) throw new Error(`There is no policy ${name}`);
  return statements(policy.inputs.policy)
    .flatMap(({ Action, Resource }) =>
      [Action].flat().flatMap((action) => [Resource].flat().map((resource) => `${action} ${resource}`)),
    )
    .sort();
}

/** An output of a value, as a component of another part would have it. */
export async function known<T>(value: T): Promise<Output<T>> {
  const pulumi = await import('@pulumi/pulumi');
  return pulumi.output(value) as Output<T>;
}
