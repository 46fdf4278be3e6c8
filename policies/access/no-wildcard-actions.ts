import { allowedBy, documentTypes, keyPolicyTypes, type PolicyStatement } from '../documents.ts';
import { resourcePolicy } from '../policy.ts';

export const noWildcardActions = resourcePolicy({
  name: 'no-wildcard-actions',
  description: 'A policy should allow actions by their full names.',
  enforcement: 'mandatory',
  types: documentTypes,
  check(resource) {
    return allowedBy(resource).flatMap((statement) => {
      if (statement.NotAction)
        return ['allows all actions but some (NotAction); spell out those that are needed'];
      const wild = (statement.Action ?? []).filter((action) => action.includes('*'));
      if (wild.length === 0 || isKeyOfAccount(resource.type, statement)) return [];
      return [`allows ${wild.join(', ')}; spell out the actions that are needed`];
    });
  },
});

/** A key's policy hands its access over to IAM by allowing kms:* to the account; without that nobody could change it. */
function isKeyOfAccount(type: string, { Principal, Action }: PolicyStatement): boolean {
  if (!keyPolicyTypes.includes(type) || typeof Principal !== 'object') return false;
  const principals = Object.entries(Principal);
  const isAccount = principals.every(
    ([kind, names]) =>
      kind === 'AWS' && names.every((name) => /^(arn:[\w-]+:iam::\d{12}:root|\d{12})$/.test(name)),
  );
  return isAccount && Action?.every((action) => action === 'kms:*') === true;
}
