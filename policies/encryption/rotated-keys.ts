import { resourcePolicy } from '../policy.ts';
import { at, textAt } from '../resource.ts';

export const rotatedKeys = resourcePolicy({
  name: 'rotated-keys',
  description: 'A key that encrypts should be rotated each year.',
  enforcement: 'mandatory',
  types: ['aws:kms/key:Key'],
  check({ props }) {
    // Only these can be rotated by AWS.
    if ((textAt(props, 'customerMasterKeySpec') ?? 'SYMMETRIC_DEFAULT') !== 'SYMMETRIC_DEFAULT') return [];
    return at(props, 'enableKeyRotation') === true ? [] : ['is never rotated; set enableKeyRotation to true'];
  },
});
