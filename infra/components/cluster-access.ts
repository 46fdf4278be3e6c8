import { createHash } from 'node:crypto';
import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';

/**
 * The principal of IAM that runs this program: a user, or the role behind an assumed one, because an access entry takes
 * no session.
 */
export function whoRunsThis(opts: pulumi.InvokeOutputOptions): pulumi.Output<string> {
  const { arn } = aws.getCallerIdentityOutput({}, opts);
  return aws.iam
    .getSessionContextOutput({ arn }, opts)
    .apply(({ issuerArn, arn: own }) => (issuerArn === undefined || issuerArn === '' ? own : issuerArn));
}

export interface AdministratorsArgs {
  readonly clusterName: pulumi.Input<string>;
  /** Who runs the program. */
  readonly runner: pulumi.Output<string>;
  /** ARNs of principals beside it. */
  readonly administrators: readonly string[];
}

/**
 * Lets principals administer the cluster: whoever runs the program, who may not be the one that made it, and those that
 * are named. EKS takes one entry a principal, so that one of them must not be the other.
 */
export function grantAdministrators(
  childName: (role: string) => string,
  { clusterName, runner, administrators }: AdministratorsArgs,
  opts: pulumi.CustomResourceOptions,
): readonly pulumi.Resource[] {
  const other = runner.apply((arn) => refuseTwice(arn, administrators));
  const entries: readonly { readonly role: string; readonly principalArn: pulumi.Input<string> }[] = [
    { role: 'runner', principalArn: other },
    ...[...new Set(administrators)].map((arn) => ({
      role: `administrator-${shortHash(arn)}`,
      principalArn: arn,
    })),
  ];
  return entries.flatMap(({ role, principalArn }) => {
    const entry = new aws.eks.AccessEntry(
      childName(role),
      { clusterName, principalArn, type: 'STANDARD' },
      opts,
    );
    const association = new aws.eks.AccessPolicyAssociation(
      childName(`${role}-policy`),
      {
        clusterName,
        principalArn: entry.principalArn,
        policyArn: 'arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy',
        accessScope: { type: 'cluster' },
      },
      opts,
    );
    return [entry, association];
  });
}

/** @throws Error where who runs the program is named as another administrator */
function refuseTwice(runner: string, administrators: readonly string[]): string {
  if (!administrators.includes(runner)) return runner;
  throw new Error(
    `cluster.administrators names ${runner}, which runs this program and is an administrator by that: leave it out`,
  );
}

/** Keeps an entry's logical name its own however many others come and go. */
function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
