import { resourcePolicy } from '../policy.ts';
import { at } from '../resource.ts';

export const encryptedTables = resourcePolicy({
  name: 'encrypted-tables',
  description: "A table should be encrypted by a key whose use the account's trail shows.",
  enforcement: 'mandatory',
  types: ['aws:dynamodb/table:Table'],
  check({ props }) {
    // DynamoDB encrypts all the same without it, by a key that nobody sees.
    if (at(props, 'serverSideEncryption', 'enabled') === true) return [];
    return [
      'is encrypted by a key of DynamoDB that the account does not see; set serverSideEncryption.enabled to true',
    ];
  },
});
