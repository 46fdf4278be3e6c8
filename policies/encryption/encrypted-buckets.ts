import { stackPolicy } from '../policy.ts';
import { isGiven } from '../resource.ts';
import { bucketsOf, isAbout } from '../stores.ts';

const encryptionTypes: readonly string[] = [
  'aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration',
  'aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2',
];

export const encryptedBuckets = stackPolicy({
  name: 'encrypted-buckets',
  description: 'Every bucket should say how it is encrypted.',
  enforcement: 'mandatory',
  check(resources) {
    const configurations = resources.filter(({ type }) => encryptionTypes.includes(type));
    return bucketsOf(resources)
      .filter(
        (bucket) =>
          !isGiven(bucket.props, 'serverSideEncryptionConfiguration', 'rule') &&
          !configurations.some((one) => isGiven(one.props, 'rules') && isAbout(one, bucket, 'bucket')),
      )
      .map((resource) => ({
        resource,
        message: 'does not say how it is encrypted; add a BucketServerSideEncryptionConfiguration',
      }));
  },
});
