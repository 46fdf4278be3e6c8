import { allowedBy, documentTypes, type PolicyStatement } from '../documents.ts';
import { resourcePolicy } from '../policy.ts';

export const noPublicPrincipals = resourcePolicy({
  name: 'no-public-principals',
  description: 'A policy should allow nothing to everybody.',
  enforcement: 'mandatory',
  // Of an endpoint, everybody is who may reach it: those within the network.
  types: documentTypes.filter((type) => type !== 'aws:ec2/vpcEndpoint:VpcEndpoint'),
  check(resource) {
    return allowedBy(resource)
      .filter((statement) => isEverybody(statement) && !isNarrowed(statement))
      .map(({ Action = [] }) => `allows everybody ${Action.join(', ')}; name the principals`);
  },
});

function isEverybody({ Principal, NotPrincipal }: PolicyStatement): boolean {
  if (NotPrincipal !== undefined || Principal === '*') return true;
  if (typeof Principal !== 'object') return false;
  return Object.values(Principal).some((names) => names.includes('*'));
}

/** Conditions that say who calls, or for what. */
const narrowing =
  /^(aws:(SourceArn|SourceAccount|SourceOrgID|PrincipalArn|PrincipalAccount|PrincipalOrgID|SourceVpc|SourceVpce)|kms:CallerAccount)$/i;

function isNarrowed({ Condition = {} }: PolicyStatement): boolean {
  return Object.entries(Condition).some(
    ([operator, keys]) => !/Not/.test(operator) && Object.keys(keys).some((key) => narrowing.test(key)),
  );
}
