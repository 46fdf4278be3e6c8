import { isGpuGroup, nodeGroupType, skuOf } from '../machines.ts';
import { resourcePolicy } from '../policy.ts';
import { at } from '../resource.ts';
import { listByEnvironment } from '../settings.ts';

export const gpuScaleToZero = resourcePolicy({
  name: 'gpu-scale-to-zero',
  description: 'A node group with GPUs should keep no machine while nobody calls, unless its tier is named.',
  enforcement: 'mandatory',
  settings: {
    alwaysOn: listByEnvironment('SKUs that may keep machines while nobody calls', {
      dev: [],
      staging: [],
      prod: [],
    }),
  },
  types: [nodeGroupType],
  check(group, { settings: { alwaysOn } }) {
    const sku = skuOf(group);
    if (!isGpuGroup(group) || (sku !== undefined && alwaysOn.includes(sku))) return [];
    return ['minSize', 'desiredSize'].flatMap((property) => {
      const size = at(group.props, 'scalingConfig', property);
      if (size === 0) return [];
      if (typeof size !== 'number') {
        return [`must have a literal scalingConfig.${property}, so that it is known before the update`];
      }
      const tier = sku ?? 'its SKU';
      return [
        `has a scalingConfig.${property} of ${size}, which costs whether or not anybody calls; set it to 0, or name ${tier} in alwaysOn`,
      ];
    });
  },
});
