import { resourcePolicy } from '../policy.ts';
import { at, listAt, textsAt } from '../resource.ts';

export const privateClusterEndpoint = resourcePolicy({
  name: 'private-cluster-endpoint',
  description: "A cluster's endpoint should be open to known addresses alone, or to its network.",
  enforcement: 'mandatory',
  types: ['aws:eks/cluster:Cluster'],
  check({ props }) {
    if (at(props, 'vpcConfig', 'endpointPublicAccess') === false) return [];
    const given = listAt(props, 'vpcConfig', 'publicAccessCidrs');
    const cidrs = textsAt(props, 'vpcConfig', 'publicAccessCidrs');
    if (given.length === 0 || cidrs.length < given.length) {
      return [
        'may be reached by the whole internet; set cluster.endpointCidrs to literal blocks, or cluster.endpoint to private',
      ];
    }
    const open = cidrs.filter((cidr) => cidr.endsWith('/0'));
    return open.map((cidr) => `may be reached from ${cidr}; take known addresses for cluster.endpointCidrs`);
  },
});
