import { resourcePolicy } from '../policy.ts';
import { at } from '../resource.ts';

export const controlPlaneTier = resourcePolicy({
  name: 'control-plane-tier',
  description: 'A cluster should have the standard tier of control plane and no Auto Mode, which cost extra.',
  enforcement: 'mandatory',
  types: ['aws:eks/cluster:Cluster'],
  check({ props }) {
    const messages: string[] = [];
    const tier = at(props, 'controlPlaneScalingConfig', 'tier') ?? 'standard';
    if (tier !== 'standard') {
      messages.push(
        'has a control plane of a tier that costs extra; set controlPlaneScalingConfig.tier to standard',
      );
    }
    if ((at(props, 'computeConfig', 'enabled') ?? false) !== false) {
      messages.push(
        'has EKS Auto Mode, which adds about 12 % to the price of every machine; remove computeConfig',
      );
    }
    return messages;
  },
});
