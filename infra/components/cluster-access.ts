import { createHash } from 'node:crypto';
import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';

/**
 * The principal of IAM that runs this program: a user, or the role behind an assumed one, because an access entry takes
 * no session. Waited for, because what is made for it is named after it.
 */
export async function whoRunsThis(opts: pulumi.InvokeOptions): Promise<string> {
  const { arn } = await aws.getCallerIdentity({}, opts);
  const { issuerArn } = await aws.iam.getSessionContext({ arn }, opts);
  return issuerArn || arn;
}

export interface AdministratorsArgs {
  readonly clusterName: pulumi.Input<string>;
  /** ARNs of principals; one that is there twice counts once. */
  readonly principals: readonly string[];
}

/**
 * Lets principals administer the cluster. EKS takes one entry a principal, so each has its name by whom it is for, and
 * not by why: whoever is a named administrator today and runs the program tomorrow keeps the entry.
 */
export function grantAdministrators(
  childName: (role: string) => string,
  { clusterName, principals }: AdministratorsArgs,
  opts: pulumi.CustomResourceOptions,
): readonly pulumi.Resource[] {
  return [...new Set(principals)].flatMap((principalArn) => {
    const role = administratorRole(principalArn);
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

/** The last part of an entry's logical name, its own however many others come and go. */
export function administratorRole(principalArn: string): string {
  return `administrator-${createHash('sha256').update(principalArn).digest('hex').slice(0, 8)}`;
}
