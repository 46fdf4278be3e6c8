import { allowedBy, documentTypes, keyPolicyTypes } from '../documents.ts';
import { resourcePolicy } from '../policy.ts';

/** Shorter than a reason. */
const leastLetters = 8;

export const noUnexplainedWildcards = resourcePolicy({
  name: 'no-unexplained-wildcards',
  description: 'A statement that allows something on every resource should say why in its Sid.',
  enforcement: 'mandatory',
  types: documentTypes.filter((type) => !keyPolicyTypes.includes(type)),
  check(resource) {
    return allowedBy(resource).flatMap((statement) => {
      if (statement.NotResource)
        return ['allows every resource but some (NotResource); name those that are needed'];
      const wild = (statement.Resource ?? []).filter(isEverything);
      if (wild.length === 0 || (statement.Sid?.length ?? 0) >= leastLetters) return [];
      const actions = (statement.Action ?? []).join(', ');
      return [
        `allows ${actions} on ${wild.join(', ')}; name the resources, or say in the Sid why AWS has no narrower form`,
      ];
    });
  },
});

/** `*`, or an ARN that names a service at most: `arn:aws:sqs:*:*:*`. */
function isEverything(resource: string): boolean {
  return /^\*+$/.test(resource) || /^arn:[^:]*:[^:]*:[^:]*:[^:]*:\*$/.test(resource);
}
