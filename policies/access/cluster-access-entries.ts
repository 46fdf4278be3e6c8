import { resourcePolicy } from '../policy.ts';
import { at } from '../resource.ts';

export const clusterAccessEntries = resourcePolicy({
  name: 'cluster-access-entries',
  description: 'Who may do what in a cluster should be told by its access entries alone.',
  enforcement: 'mandatory',
  types: ['aws:eks/cluster:Cluster'],
  check({ props }) {
    if (at(props, 'accessConfig', 'authenticationMode') === 'API') return [];
    return [
      'takes the ConfigMap aws-auth, which whoever may write in the cluster may change; set accessConfig.authenticationMode to API',
    ];
  },
});
