import { resourcePolicy } from '../policy.ts';
import { isGiven, listAt } from '../resource.ts';

export const signedReads = resourcePolicy({
  name: 'signed-reads',
  description: 'A distribution should answer signed requests alone, and read its bucket as itself.',
  enforcement: 'mandatory',
  types: ['aws:cloudfront/distribution:Distribution'],
  check({ props }) {
    const messages: string[] = [];
    const behaviors = [...listAt(props, 'defaultCacheBehavior'), ...listAt(props, 'orderedCacheBehaviors')];
    if (behaviors.some((one) => !isGiven(one, 'trustedKeyGroups') && !isGiven(one, 'trustedSigners'))) {
      messages.push('gives files to whoever has their address; set trustedKeyGroups of every cache behavior');
    }
    const origins = listAt(props, 'origins').filter((one) => !isGiven(one, 'customOriginConfig'));
    if (origins.some((one) => !isGiven(one, 'originAccessControlId'))) {
      messages.push(
        'reads its bucket as nobody, so that the bucket would have to be public; set originAccessControlId',
      );
    }
    return messages;
  },
});
