import { resourcePolicy } from '../policy.ts';
import { at, isGiven } from '../resource.ts';

const topicType = 'aws:sns/topic:Topic';

export const encryptedQueues = resourcePolicy({
  name: 'encrypted-queues',
  description: 'Queues and topics should be encrypted.',
  enforcement: 'mandatory',
  types: ['aws:sqs/queue:Queue', topicType],
  check({ type, props }) {
    if (isGiven(props, 'kmsMasterKeyId')) return [];
    if (type === topicType) return ['is not encrypted; set kmsMasterKeyId'];
    if (at(props, 'sqsManagedSseEnabled') === true) return [];
    return ['does not say that it is encrypted; set sqsManagedSseEnabled to true, which is free'];
  },
});
