import { encryptedBuckets } from '../../policies/encryption/encrypted-buckets.ts';
import { encryptedClusterSecrets } from '../../policies/encryption/encrypted-cluster-secrets.ts';
import { encryptedDisks } from '../../policies/encryption/encrypted-disks.ts';
import { encryptedQueues } from '../../policies/encryption/encrypted-queues.ts';
import { encryptedRepositories } from '../../policies/encryption/encrypted-repositories.ts';
import { encryptedTables } from '../../policies/encryption/encrypted-tables.ts';
import { rotatedKeys } from '../../policies/encryption/rotated-keys.ts';
import {
  bucket,
  cluster,
  launchTemplate,
  queue,
  resource,
  table,
  testCases,
  unknownText,
} from './fixtures.ts';

const store = resource(bucket, {}, { name: 'store' });
const rules = [{ applyServerSideEncryptionByDefault: { sseAlgorithm: 'AES256' } }];
const configuration = resource(
  'aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration',
  { bucket: unknownText, rules },
  { name: 'encryption', needs: [store] },
);
testCases({
  policy: encryptedBuckets,
  passes: { 'one that says how': [store, configuration] },
  fails: { 'one that does not': [store, /store does not say how it is encrypted/] },
});
testCases({
  policy: encryptedQueues,
  passes: {
    'SQS encrypts': resource(queue, { sqsManagedSseEnabled: true }),
    'a key encrypts': resource(queue, { kmsMasterKeyId: unknownText }),
    'a topic with a key': resource('aws:sns/topic:Topic', { kmsMasterKeyId: 'alias/aws/sns' }),
  },
  fails: {
    'a queue that does not say so': [resource(queue, {}), /sqsManagedSseEnabled/],
    'a topic': [resource('aws:sns/topic:Topic', {}), /set kmsMasterKeyId/],
  },
});
testCases({
  policy: encryptedTables,
  passes: { 'a visible key': resource(table, { serverSideEncryption: { enabled: true } }) },
  fails: { 'the default': [resource(table, {}), /serverSideEncryption.enabled/] },
});
const disks = (encrypted: unknown) =>
  resource(launchTemplate, { blockDeviceMappings: [{ deviceName: '/dev/xvda', ebs: { encrypted } }] });
testCases({
  policy: encryptedDisks,
  passes: {
    'an encrypted root': disks('true'),
    'a volume': resource('aws:ebs/volume:Volume', { encrypted: true }),
  },
  fails: {
    'a plain root': [disks('false'), /root volume is not encrypted/],
    'a root that is not mapped': [resource(launchTemplate, {}), /map it/],
    'what a preview does not know': [disks(unknownText), /not encrypted/],
    'a plain volume': [resource('aws:ebs/volume:Volume', {}), /set encrypted/],
  },
});
const repository = (inputs: Record<string, unknown>) =>
  resource('aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate', inputs);
testCases({
  policy: encryptedRepositories,
  passes: { AES256: repository({ encryptionConfigurations: [{ encryptionType: 'AES256' }] }) },
  fails: { 'what does not say': [repository({}), /encryptionConfigurations/] },
});
testCases({
  policy: encryptedClusterSecrets,
  passes: {
    'a key that a preview does not know': resource(cluster, {
      encryptionConfig: { resources: ['secrets'], provider: { keyArn: unknownText } },
    }),
  },
  fails: { none: [resource(cluster, {}), /set encryptionConfig/] },
});
testCases({
  policy: rotatedKeys,
  passes: {
    'a rotated one': resource('aws:kms/key:Key', { enableKeyRotation: true }),
    'one that signs': resource('aws:kms/key:Key', { customerMasterKeySpec: 'ECC_NIST_P256' }),
  },
  fails: { 'the default': [resource('aws:kms/key:Key', {}), /never rotated/] },
});
