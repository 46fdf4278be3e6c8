import { resourcePolicy } from '../policy.ts';
import { isGiven, textsAt } from '../resource.ts';

export const encryptedClusterSecrets = resourcePolicy({
  name: 'encrypted-cluster-secrets',
  description: "A cluster's secrets should be encrypted by a key of the account.",
  enforcement: 'mandatory',
  types: ['aws:eks/cluster:Cluster'],
  check({ props }) {
    const isEncrypted =
      textsAt(props, 'encryptionConfig', 'resources').includes('secrets') &&
      isGiven(props, 'encryptionConfig', 'provider', 'keyArn');
    return isEncrypted
      ? []
      : ['does not encrypt its secrets by a key of yours; set encryptionConfig for secrets'];
  },
});
