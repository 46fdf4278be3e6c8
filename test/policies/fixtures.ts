import { expect, test } from 'vitest';
import type { RecordedResource } from '../../infra/plan/record.ts';
import { judge } from '../../policies/evaluate.ts';
import type { Policy } from '../../policies/policy.ts';

/** What @pulumi/policy has for a text that a preview does not know (its proxy.js), and for a number. */
export const unknownText = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';
export const unknownNumber = '3eeb2bf0-c639-47a8-9e75-3b44932eb421';

export const nodeGroup = 'aws:eks/nodeGroup:NodeGroup';
export const launchTemplate = 'aws:ec2/launchTemplate:LaunchTemplate';
export const queue = 'aws:sqs/queue:Queue';
export const bucket = 'aws:s3/bucket:Bucket';
export const table = 'aws:dynamodb/table:Table';
export const cluster = 'aws:eks/cluster:Cluster';
export const lambda = 'aws:lambda/function:Function';
export const rolePolicy = 'aws:iam/rolePolicy:RolePolicy';
export const distribution = 'aws:cloudfront/distribution:Distribution';
export const balancer = 'awsx:lb:ApplicationLoadBalancer';
export const fargate = 'awsx:ecs:FargateService';

export function urnOf(type: string, name: string, environment = 'dev'): string {
  return `urn:pulumi:${environment}::mimeo::${type}::${name}`;
}

interface More {
  /** @default dev */
  readonly in?: string;
  readonly name?: string;
  readonly needs?: readonly RecordedResource[];
  readonly parent?: RecordedResource;
  readonly provider?: RecordedResource;
}

export function resource(type: string, inputs: Record<string, unknown>, more: More = {}): RecordedResource {
  const name = more.name ?? 'thing';
  return {
    urn: urnOf(type, name, more.in),
    type,
    name,
    parent: more.parent?.urn,
    isCustom: !type.startsWith('awsx:'),
    inputs,
    outputs: {},
    dependencies: (more.needs ?? []).map(({ urn }) => urn),
    ignoreChanges: [],
    isProtected: false,
    retainsOnDelete: false,
    provider: more.provider ? `${more.provider.urn}::provider-id` : '',
  };
}

/** The provider of a stack, tagged and in a region. */
export function provider(inputs: Record<string, unknown> = {}, environment = 'dev'): RecordedResource {
  const defaultTags = JSON.stringify({
    tags: { 'mimeo:project': 'mimeo', 'mimeo:environment': environment },
  });
  return resource(
    'pulumi:providers:aws',
    { region: 'us-east-1', defaultTags, ...inputs },
    { name: 'aws', in: environment },
  );
}

export function allow(statement: Record<string, unknown>): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', ...statement }] });
}

export const denyPlain = JSON.stringify({
  Statement: {
    Effect: 'Deny',
    Principal: '*',
    Action: 's3:*',
    Resource: '*',
    Condition: { Bool: { 'aws:SecureTransport': 'false' } },
  },
});

export function messagesOf(
  policy: Policy,
  resources: readonly RecordedResource[],
  settings?: Record<string, unknown>,
): readonly string[] {
  return judge(policy, resources, settings).violations.map(({ message }) => message);
}

type Stack = RecordedResource | readonly RecordedResource[];

export interface Cases {
  readonly policy: Policy;
  readonly passes: Readonly<Record<string, Stack>>;
  /** With what the first message says; all of them name the resource and how to mend it. */
  readonly fails: Readonly<Record<string, readonly [Stack, RegExp]>>;
}

/** Tests that a policy passes and fails as the cases say. */
export function testCases({ policy, passes, fails }: Cases): void {
  for (const [what, stack] of Object.entries(passes)) {
    test(`${policy.name} passes ${what}`, () => {
      expect(messagesOf(policy, [stack].flat())).toEqual([]);
    });
  }
  for (const [what, [stack, message]] of Object.entries(fails)) {
    test(`${policy.name} fails ${what}`, () => {
      const messages = messagesOf(policy, [stack].flat());
      expect(messages[0]).toMatch(message);
      expect(messages.join()).not.toMatch(/undefined|\[object|Symbol/);
    });
  }
}
