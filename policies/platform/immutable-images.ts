import { resourcePolicy } from '../policy.ts';
import { textAt } from '../resource.ts';

export const immutableImages = resourcePolicy({
  name: 'immutable-images',
  description: 'A tag of an image should stay what it was when it was pushed.',
  enforcement: 'mandatory',
  types: ['aws:ecr/repository:Repository', 'aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate'],
  check({ props }) {
    if (textAt(props, 'imageTagMutability')?.startsWith('IMMUTABLE')) return [];
    return [
      'lets a push change what a tag is; set imageTagMutability to IMMUTABLE, or to IMMUTABLE_WITH_EXCLUSION for latest',
    ];
  },
});
