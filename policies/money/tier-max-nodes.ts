import { maxSizeOf, nodeGroupType } from '../machines.ts';
import { resourcePolicy } from '../policy.ts';
import { numberByEnvironment } from '../settings.ts';

export const tierMaxNodes = resourcePolicy({
  name: 'tier-max-nodes',
  description: 'A node group should have no more machines than its environment allows.',
  enforcement: 'mandatory',
  settings: {
    maxNodes: numberByEnvironment('Machines of one node group at most', { dev: 4, staging: 8, prod: 32 }),
  },
  types: [nodeGroupType],
  check(group, { environment, settings: { maxNodes } }) {
    const size = maxSizeOf(group);
    if (size === undefined) {
      return ['must have a literal scalingConfig.maxSize, so that its limit is known before the update'];
    }
    if (size <= maxNodes) return [];
    return [
      `may grow to ${size} machines, over the ${maxNodes} of ${environment}; lower the tier's max, or raise maxNodes`,
    ];
  },
});
