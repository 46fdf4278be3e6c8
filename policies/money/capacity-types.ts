import { nodeGroupType, skuOf } from '../machines.ts';
import { resourcePolicy } from '../policy.ts';
import { at, notKnown } from '../resource.ts';
import { listByEnvironment, whereEnvironment } from '../settings.ts';

export const capacityTypes = resourcePolicy({
  name: 'capacity-types',
  description:
    'Machines should be bought on demand; in production, spot is for tiers that are named, and never for system nodes.',
  enforcement: 'mandatory',
  settings: {
    production: whereEnvironment('Environments that go by the rules of production', ['prod']),
    spot: listByEnvironment('SKUs that production may run on spot machines', {
      dev: [],
      staging: [],
      prod: [],
    }),
  },
  types: [nodeGroupType],
  check(group, { settings: { production, spot } }) {
    const capacity = at(group.props, 'capacityType') ?? 'ON_DEMAND';
    if (capacity === notKnown)
      return ['must have a literal capacityType, so that it is known before the update'];
    if (capacity === 'ON_DEMAND') return [];
    if (capacity !== 'SPOT') {
      return [
        `has the capacityType ${String(capacity)}, which is paid for in advance; take ON_DEMAND or SPOT`,
      ];
    }
    const sku = skuOf(group);
    if (sku === undefined) {
      return ['runs the cluster itself and may not be interrupted; take the capacityType ON_DEMAND'];
    }
    if (!production || spot.includes(sku)) return [];
    return [
      `runs on spot machines, which AWS takes back at two minutes' notice; take capacity: on-demand, or name ${sku} in spot`,
    ];
  },
});
