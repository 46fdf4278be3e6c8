import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';

/** Who is granted something: a role, with the logical name that its policies are named after. */
export interface Grantee {
  readonly name: string;
  readonly role: aws.iam.Role;
}

/** One statement of a policy. Actions are spelt out; a resource of `*` needs `why`. */
export interface Statement {
  readonly actions: readonly string[];
  readonly resources: readonly pulumi.Input<string>[];
  /** Such as `{StringEquals: {'aws:RequestTag/x': 'y'}}`. */
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, pulumi.Input<string>>>>>;
  /** Why AWS has no narrower resource; it becomes the statement's Sid. Letters and digits. */
  readonly why?: string;
}

/** A role that a service of AWS takes on, and who it is to `grant`. */
export function serviceRole(
  name: string,
  service: string,
  opts: pulumi.CustomResourceOptions,
  args: Omit<aws.iam.RoleArgs, 'assumeRolePolicy'> = {},
): Grantee {
  const assumeRolePolicy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Service: service },
        Action:
          service === 'pods.eks.amazonaws.com' ? ['sts:AssumeRole', 'sts:TagSession'] : ['sts:AssumeRole'],
      },
    ],
  });
  return { name, role: new aws.iam.Role(name, { ...args, assumeRolePolicy }, opts) };
}

/**
 * Lets a grantee do what `statements` say, by a policy in its role.
 * @param name logical name of what is granted, such as `table-read`; the policy is `<name>-<grantee>`
 */
export function grant(
  name: string,
  grantee: Grantee,
  statements: readonly Statement[],
  opts: pulumi.CustomResourceOptions,
): aws.iam.RolePolicy {
  return new aws.iam.RolePolicy(
    `${name}-${grantee.name}`,
    { role: grantee.role.name, policy: policyDocument(statements) },
    opts,
  );
}

/** A policy's document, as JSON. */
export function policyDocument(statements: readonly Statement[]): pulumi.Output<string> {
  return pulumi.jsonStringify({
    Version: '2012-10-17',
    Statement: statements.map(({ actions, resources, conditions, why }) => ({
      ...(why === undefined ? {} : { Sid: why }),
      Effect: 'Allow',
      Action: actions,
      Resource: resources,
      ...(conditions ? { Condition: conditions } : {}),
    })),
  });
}
