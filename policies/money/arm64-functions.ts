import { resourcePolicy } from '../policy.ts';
import { textsAt } from '../resource.ts';

export const arm64Functions = resourcePolicy({
  name: 'arm64-functions',
  description: 'A function should run on arm64, which costs a fifth less than x86.',
  enforcement: 'advisory',
  types: ['aws:lambda/function:Function'],
  check({ props }) {
    if (textsAt(props, 'architectures').includes('arm64')) return [];
    return ['runs on x86; set architectures to ["arm64"]'];
  },
});
