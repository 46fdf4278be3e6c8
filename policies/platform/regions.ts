import { resourcePolicy } from '../policy.ts';
import { at, isGiven, notKnown } from '../resource.ts';
import { listByEnvironment } from '../settings.ts';

const anyPriced = ['us-east-1', 'us-west-2', 'eu-west-1'];

export const regions = resourcePolicy({
  name: 'regions',
  description: 'Resources, and so the data in them, should stay in the regions that are allowed.',
  enforcement: 'mandatory',
  settings: {
    regions: listByEnvironment('Regions in which resources may stand', {
      dev: anyPriced,
      staging: anyPriced,
      prod: anyPriced,
    }),
  },
  check({ type, props, provider }, { environment, settings: { regions: allowed } }) {
    if (!type.startsWith('aws:') && type !== 'pulumi:providers:aws') return [];
    const region = isGiven(props, 'region') ? at(props, 'region') : at(provider?.props, 'region');
    if (region === notKnown) return ['must have a literal region, so that it is known before the update'];
    // cost-tags says where there is no provider of the program's.
    if (region === undefined || allowed.some((one) => one === region)) return [];
    return [
      `stands in ${String(region)}, where ${environment} may keep no data; take ${allowed.join(', ')}, or add it to regions`,
    ];
  },
});
