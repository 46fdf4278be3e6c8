import type { Output } from '@pulumi/pulumi';
import type { StackIdentity } from '../../../infra/components/component.ts';
import type { Grantee } from '../../../infra/components/grant.ts';
import { type RecordedResource, type RecordOptions, record } from '../../../infra/plan/record.ts';

export const identity: StackIdentity = { project: 'mimeo', environment: 'dev', region: 'us-east-1' };
export const logs = { retentionDays: 14, level: 'info' } as const;

/** What was granted to whom, as `owner.grant grantee`, in order. */
export type Grants = string[];

const secretArn = (name: string) => `arn:aws:secretsmanager:us-east-1:123456789012:secret:${name}-AbCdEf`;

/**
 * Stand-ins for the components that others stand on: with names as AWS gives them, and grants that are noted. Made
 * inside of a recorded program, because they are components.
 */
export async function neighbours(grants: Grants) {
  const pulumi = await import('@pulumi/pulumi');
  const { Component } = await import('../../../infra/components/component.ts');
  const text = (value: string): Output<string> => pulumi.output(value);

  class Neighbour extends Component {
    constructor(noun: string, members: object, granted: readonly string[]) {
      super(noun, noun.toLowerCase());
      Object.assign(this, members);
      for (const name of granted) {
        const note = (grantee: Grantee) => void grants.push(`${noun}.${name} ${grantee.name}`);
        Object.assign(this, { [name]: note });
      }
      this.registerOutputs({});
    }
  }

  return {
    table: new Neighbour(
      'Table',
      {
        name: text('mimeo-dev'),
        streamArn: text(
          'arn:aws:dynamodb:us-east-1:123456789012:table/mimeo-dev/stream/2026-01-01T00:00:00.000',
        ),
      },
      ['grant', 'grantStream'],
    ),
    jobs: new Neighbour(
      'Jobs',
      {
        prefix: 'mimeo-dev-jobs-',
        deadLetterArn: text('arn:aws:sqs:us-east-1:123456789012:mimeo-dev-dead'),
        deadLetterName: text('mimeo-dev-dead'),
      },
      ['grantUse', 'grantSweep'],
    ),
    outputs: new Neighbour(
      'Outputs',
      {
        failuresArn: text('arn:aws:s3:::mimeo-dev-failures'),
        variables: {
          MIMEO_BUCKET: text('mimeo-dev-outputs'),
          MIMEO_CLOUDFRONT_URL: text('https://d111111abcdef8.cloudfront.net'),
          MIMEO_CLOUDFRONT_KEY_PAIR_ID: text('K1234567890ABC'),
          MIMEO_CLOUDFRONT_PRIVATE_KEY: text(secretArn('cloudfront')),
        },
      },
      ['grantRead', 'grantRemove', 'grantWriteFailures'],
    ),
    secrets: new Neighbour('Secrets', { streamKeyArn: text(secretArn('stream-key')) }, ['grantStreamKey']),
    registry: new Neighbour('Registry', { prefix: 'mimeo-dev' }, ['grantRead']),
  };
}

/** Runs a program of this environment, and finds what it asked for. */
export async function recorded<T>(
  program: () => Promise<T>,
  options: Pick<RecordOptions, 'isPreview' | 'create'> = {},
) {
  const { resources, result } = await record(program, {
    project: identity.project,
    environment: identity.environment,
    ...options,
  });
  // In a preview the program's result is there before the last resources are asked for.
  const { runtime } = await import('@pulumi/pulumi');
  await (runtime as unknown as { waitForRPCs(): Promise<void> }).waitForRPCs();
  return {
    resources,
    result,
    /** Of a type such as `aws:sqs/queue:Queue`. */
    all: (type: string): readonly RecordedResource[] => resources.filter((one) => one.type === type),
    /** @throws Error where there is none of this logical name */
    named(name: string): RecordedResource {
      const found = resources.filter((one) => one.name === name && one.isCustom);
      const [only] = found;
      if (found.length !== 1 || !only) {
        const names = resources.map((one) => one.name).join(', ');
        throw new Error(`There are ${found.length} resources called ${name} among ${names}`);
      }
      return only;
    },
  };
}

/** As the engine answers in a preview: with what was asked for, and nothing that AWS adds. */
export const inPreview: Pick<RecordOptions, 'isPreview' | 'create'> = {
  isPreview: true,
  create: ({ inputs }) => ({ id: undefined, state: inputs as Record<string, unknown> }),
};

interface PolicyStatement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Principal?: unknown;
  readonly Condition?: unknown;
}

/** The statements of a resource's `policy`. */
export function statementsOf({ inputs }: RecordedResource): readonly PolicyStatement[] {
  return (JSON.parse(String(inputs.policy)) as { Statement: readonly PolicyStatement[] }).Statement;
}
