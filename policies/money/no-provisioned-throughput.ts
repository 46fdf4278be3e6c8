import { resourcePolicy } from '../policy.ts';
import { at, isGiven, listAt, type PolicedResource } from '../resource.ts';

const provisioned: Readonly<Record<string, string>> = {
  'aws:elasticache/cluster:Cluster': 'take aws.elasticache.ServerlessCache',
  'aws:elasticache/replicationGroup:ReplicationGroup': 'take aws.elasticache.ServerlessCache',
  'aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig':
    'let functions start when they are called',
};

export const noProvisionedThroughput = resourcePolicy({
  name: 'no-provisioned-throughput',
  description:
    'Stores and functions should be paid for by use, without provisioned or pre-warmed throughput.',
  enforcement: 'mandatory',
  types: ['aws:dynamodb/table:Table', ...Object.keys(provisioned)],
  check(resource) {
    const instead = provisioned[resource.type];
    if (instead !== undefined) return [`is paid for by the hour, used or not; ${instead}`];
    return tableMistakes(resource);
  },
});

function tableMistakes({ props }: PolicedResource): readonly string[] {
  const messages: string[] = [];
  // Without a mode DynamoDB provisions.
  if (at(props, 'billingMode') !== 'PAY_PER_REQUEST') {
    messages.push('is not paid for by request; set billingMode to PAY_PER_REQUEST');
  }
  const indexes = listAt(props, 'globalSecondaryIndexes');
  if ([props, ...indexes].some((of) => isGiven(of, 'warmThroughput'))) {
    messages.push('is warmed in advance, which is billed; remove warmThroughput');
  }
  return messages;
}
