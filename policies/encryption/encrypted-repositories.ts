import { resourcePolicy } from '../policy.ts';
import { listAt, textAt } from '../resource.ts';

export const encryptedRepositories = resourcePolicy({
  name: 'encrypted-repositories',
  description: 'Repositories of images should say how they are encrypted.',
  enforcement: 'mandatory',
  types: ['aws:ecr/repository:Repository', 'aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate'],
  check({ props }) {
    const given = listAt(props, 'encryptionConfigurations');
    if (given.some((one) => ['AES256', 'KMS', 'KMS_DSSE'].includes(textAt(one, 'encryptionType') ?? '')))
      return [];
    return [
      'does not say how images are encrypted; set encryptionConfigurations, such as [{encryptionType: AES256}]',
    ];
  },
});
