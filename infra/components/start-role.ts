import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { physicalName } from '../names.ts';
import type { StackIdentity } from './component.ts';
import { grant, serviceRole } from './grant.ts';

/** Who takes on the roles of ECS's tasks. */
export const tasksOfEcs = 'ecs-tasks.amazonaws.com';

export interface StartRoleArgs {
  readonly identity: StackIdentity;
  /** Of the task's only container. */
  readonly image: pulumi.Output<string>;
  readonly logs: aws.cloudwatch.LogGroup;
}

/** A role, and what lets it do its work. */
export interface StartRole {
  readonly role: aws.iam.Role;
  readonly policy: aws.iam.RolePolicy;
}

/**
 * The role that starts the api's tasks (ECS: the execution role): it fetches their image and writes their log.
 * @param name logical name
 */
export function createStartRole(
  name: string,
  { identity, image, logs }: StartRoleArgs,
  opts: pulumi.CustomResourceOptions,
): StartRole {
  const { project, environment, region } = identity;
  const grantee = serviceRole(name, tasksOfEcs, opts, {
    name: physicalName('role', project, environment, 'api-start'),
    description: "What starts the api's tasks",
  });
  const { parent } = opts;
  const { accountId } = aws.getCallerIdentityOutput({}, { parent });
  const { partition } = aws.getPartitionOutput({}, { parent });
  const repository = pulumi
    .all([image, partition, accountId])
    .apply(([imageName, ...account]) => repositoryArn(region, imageName, ...account));
  const policy = grant(
    `${name}-policy`,
    grantee,
    [
      { actions: ['ecr:GetAuthorizationToken'], resources: ['*'], why: 'LoginIsForTheWholeRegistry' },
      {
        actions: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
        resources: [repository],
      },
      {
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [pulumi.interpolate`${logs.arn}:*`],
      },
    ],
    opts,
  );
  return { role: grantee.role, policy };
}

/** Of the repository that an image lies in. One of a registry that is not ECR is read without permission. */
function repositoryArn(region: string, image: string, partition: string, account: string): string {
  const [, host = '', path = ''] = /^([^/]+)\/([^@:]+)/.exec(image) ?? [];
  const [, owner = account, home = region] = /^(\d{12})\.dkr\.ecr\.([\w-]+)\./.exec(host) ?? [];
  return `arn:${partition}:ecr:${home}:${owner}:repository/${path}`;
}
