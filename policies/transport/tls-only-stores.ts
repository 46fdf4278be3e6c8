import { knownStatementsOf, type PolicyStatement } from '../documents.ts';
import { stackPolicy } from '../policy.ts';
import { isGiven, type StackResource } from '../resource.ts';
import { bucketsOf, isAbout } from '../stores.ts';

const queueType = 'aws:sqs/queue:Queue';

export const tlsOnlyStores = stackPolicy({
  name: 'tls-only-stores',
  description: 'Buckets and queues should refuse requests without TLS.',
  enforcement: 'mandatory',
  check(resources) {
    const ofType = (type: string) => resources.filter((one) => one.type === type);
    const bucketPolicies = ofType('aws:s3/bucketPolicy:BucketPolicy');
    const queuePolicies = ofType('aws:sqs/queuePolicy:QueuePolicy');
    const open = [
      ...bucketsOf(resources).filter((one) => !refusesPlain(policiesOf(one, bucketPolicies, 'bucket'))),
      ...ofType(queueType).filter((one) => !refusesPlain(policiesOf(one, queuePolicies, 'queueUrl'))),
    ];
    return open.map((resource) => ({
      resource,
      message: 'takes requests without TLS; deny them in its policy where aws:SecureTransport is false',
    }));
  },
});

function policiesOf(
  store: StackResource,
  policies: readonly StackResource[],
  property: string,
): readonly StackResource[] {
  const inline = store.type === queueType && isGiven(store.props, 'policy') ? [store] : [];
  return [...inline, ...policies.filter((policy) => isAbout(policy, store, property))];
}

/** Whether a policy denies what comes without TLS. One that a preview does not know may: the update looks again. */
function refusesPlain(policies: readonly StackResource[]): boolean {
  return policies.some((policy) => knownStatementsOf(policy)?.some(isRefusal) ?? true);
}

function isRefusal({ Effect, Condition, Action = [], Principal }: PolicyStatement): boolean {
  const operators = Object.entries(Condition ?? {});
  const isPlain = operators.some(
    ([operator, keys]) =>
      /^Bool/.test(operator) &&
      Object.entries(keys).some(
        ([key, value]) => key.toLowerCase() === 'aws:securetransport' && isFalse(value),
      ),
  );
  // A second condition would let some plain requests through.
  const isAll = operators.length === 1 && Action.some((action) => /^(\*|\w+:\*)$/.test(action));
  const isEverybody =
    Principal === '*' || (typeof Principal === 'object' && Principal.AWS?.includes('*') === true);
  return Effect === 'Deny' && isPlain && isAll && isEverybody;
}

function isFalse(value: unknown): boolean {
  return [value].flat().every((one) => String(one) === 'false');
}
