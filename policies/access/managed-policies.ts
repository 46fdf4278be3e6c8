import { NotKnown, resourcePolicy } from '../policy.ts';
import { at, listAt, notKnown, type PolicedResource } from '../resource.ts';
import { list } from '../settings.ts';

export const managedPolicies = resourcePolicy({
  name: 'managed-policies',
  description: "A role should have only those of AWS's own policies that AWS asks for.",
  enforcement: 'mandatory',
  settings: {
    allowed: list("AWS's own policies that a role may have", [
      'AmazonEKSClusterPolicy',
      'AmazonEKSWorkerNodePolicy',
      'AmazonEKS_CNI_Policy',
      'AmazonEC2ContainerRegistryPullOnly',
      'AmazonEC2ContainerRegistryReadOnly',
      'AmazonECSTaskExecutionRolePolicy',
    ]),
  },
  types: [
    'aws:iam/rolePolicyAttachment:RolePolicyAttachment',
    'aws:iam/policyAttachment:PolicyAttachment',
    'aws:iam/role:Role',
  ],
  check(resource, { settings: { allowed } }) {
    return attached(resource)
      .map((arn) => /^arn:[\w-]+:iam::aws:policy\/(?:.*\/)?(.+)$/.exec(arn)?.[1])
      .filter((name) => name !== undefined && !allowed.includes(name))
      .map(
        (name) =>
          `has AWS's policy ${name}, which is wider than what a service calls; grant its actions by name, or add it to allowed`,
      );
  },
});

function attached({ props }: PolicedResource): readonly string[] {
  if (at(props, 'policyArn') === notKnown) throw new NotKnown(['policyArn']);
  return [...listAt(props, 'policyArn'), ...listAt(props, 'managedPolicyArns')].filter(
    (arn) => typeof arn === 'string',
  );
}
