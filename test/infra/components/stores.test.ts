import { createPrivateKey, createPublicKey } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Network } from '../../../infra/components/network.ts';
import { queueName } from '../../../services/ports/queue/sqs.ts';
import { dynamoTableSchema } from '../../../services/ports/table/dynamodb-schema.ts';
import {
  account,
  allowed,
  grantee,
  identity,
  known,
  ofType,
  only,
  recordParts,
  statements,
} from './parts.ts';

const tableType = 'aws:dynamodb/table:Table';
const tableArn = `arn:aws:dynamodb:us-east-1:${account}:table/mimeo-test`;

async function recordTable(protection: { deletion: boolean; tableBackupDays: number }) {
  return await recordParts(async () => {
    const { Table } = await import('../../../infra/components/table.ts');
    const table = new Table('table', { identity, protection });
    table.grant(await grantee(), ['GetItem', 'PutItem', 'Query']);
    table.grantStream(await grantee('metering'));
    return { name: table.name, arn: table.arn, streamArn: table.streamArn };
  });
}

it('the table has the keys, indexes and stream that its adapter works with', async () => {
  const recording = await recordTable({ deletion: false, tableBackupDays: 0 });

  const { inputs, isProtected } = only(recording, tableType);
  expect(inputs).toMatchObject({
    name: 'mimeo-test',
    billingMode: 'PAY_PER_REQUEST',
    hashKey: 'pk',
    rangeKey: 'sk',
    ttl: { attributeName: 'expiresAt', enabled: true },
    streamEnabled: true,
    streamViewType: 'NEW_IMAGE',
    serverSideEncryption: { enabled: true },
    pointInTimeRecovery: { enabled: false },
    deletionProtectionEnabled: false,
  });
  expect(isProtected).toBe(false);
  const indexes = inputs.globalSecondaryIndexes as readonly Record<string, unknown>[];
  expect(
    indexes.map(({ name, hashKey, rangeKey, projectionType, nonKeyAttributes }) => ({
      IndexName: name,
      KeySchema: [
        { AttributeName: hashKey, KeyType: 'HASH' },
        { AttributeName: rangeKey, KeyType: 'RANGE' },
      ],
      Projection: { ProjectionType: projectionType, NonKeyAttributes: nonKeyAttributes },
    })),
  ).toEqual(dynamoTableSchema.GlobalSecondaryIndexes);
  const attributes = inputs.attributes as readonly Record<string, unknown>[];
  expect(attributes.map(({ name, type }) => ({ AttributeName: name, AttributeType: type }))).toEqual(
    dynamoTableSchema.AttributeDefinitions,
  );
  expect(recording.result.streamArn).toContain(`${tableArn}/stream/`);
});

it('a protected table refuses to be deleted, stays, and can be restored', async () => {
  const table = only(await recordTable({ deletion: true, tableBackupDays: 35 }), tableType);

  expect(table.inputs).toMatchObject({
    deletionProtectionEnabled: true,
    pointInTimeRecovery: { enabled: true, recoveryPeriodInDays: 35 },
  });
  expect([table.isProtected, table.retainsOnDelete]).toEqual([true, true]);
});

it('who is granted the table may do what it names, and query the indexes as well', async () => {
  const recording = await recordTable({ deletion: false, tableBackupDays: 0 });

  const queried = ['', '/index/due', '/index/listing', '/index/unfinished'];
  expect(allowed(recording, 'table-items-reader')).toEqual([
    `dynamodb:GetItem ${tableArn}`,
    `dynamodb:PutItem ${tableArn}`,
    ...queried.map((index) => `dynamodb:Query ${tableArn}${index}`),
  ]);
  expect(allowed(recording, 'table-stream-metering').filter((one) => !one.includes('/stream/'))).toEqual([
    'dynamodb:ListStreams *',
  ]);
});

it('queues of jobs are granted by the beginning of the names that the adapter gives them', async () => {
  const recording = await recordParts(async () => {
    const { Jobs } = await import('../../../infra/components/jobs.ts');
    const jobs = new Jobs('jobs', { identity });
    jobs.grantUse(await grantee('api'));
    jobs.grantSweep(await grantee('sweeper'));
    return { prefix: jobs.prefix, deadLetterArn: jobs.deadLetterArn };
  });

  const { prefix, deadLetterArn } = recording.result;
  expect(prefix).toBe('mimeo-test-jobs-');
  expect(queueName(prefix, 'pool').length).toBeLessThanOrEqual(80);
  const queues = `arn:aws:sqs:us-east-1:${account}:mimeo-test-jobs-*`;
  const actions = (name: string) => allowed(recording, name).map((one) => one.replace(` ${queues}`, ''));
  expect(actions('jobs-use-api')).toEqual([
    'sqs:ChangeMessageVisibility',
    'sqs:CreateQueue',
    'sqs:DeleteMessage',
    'sqs:GetQueueUrl',
    'sqs:ReceiveMessage',
    'sqs:SendMessage',
    'sqs:TagQueue',
  ]);
  expect(actions('jobs-sweep-sweeper')).toEqual([
    'sqs:CreateQueue',
    'sqs:DeleteQueue',
    'sqs:GetQueueUrl',
    'sqs:SendMessage',
    'sqs:TagQueue',
  ]);
  expect(deadLetterArn.startsWith(queues.slice(0, -1))).toBe(false);
  expect(only(recording, 'aws:sqs/queue:Queue').inputs).toMatchObject({
    messageRetentionSeconds: 1_209_600,
    sqsManagedSseEnabled: true,
    maxMessageSize: 1_048_576,
  });
  const [refusal] = statements(only(recording, 'aws:sqs/queuePolicy:QueuePolicy').inputs.policy);
  expect(refusal).toMatchObject({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } });
});

it('names that leave no room for the queues’ own are refused', async () => {
  const { queuePrefix } = await import('../../../infra/components/jobs.ts');

  expect(() => queuePrefix('mimeo', 'an-environment-of-a-very-long-name')).toThrow(
    /too long for what queues' names begin with: 40/,
  );
});

async function recordOutputs(
  over: { cloudFront?: boolean; isProtected?: boolean; corsOrigins?: string[] } = {},
) {
  const { cloudFront = true, isProtected = false, corsOrigins = [] } = over;
  return await recordParts(async () => {
    const { Outputs } = await import('../../../infra/components/outputs.ts');
    const settings = { expireDays: 30, cloudFront };
    const outputs = new Outputs('outputs', { identity, settings, corsOrigins, isProtected });
    outputs.grantReadWrite(await grantee('api'));
    outputs.grantRemove(await grantee('sweeper'));
    outputs.grantWriteFailures(await grantee('metering'));
    return { ...outputs.variables, failures: outputs.failuresArn, key: outputs.privateKeySecretArn };
  });
}

const files = `arn:aws:s3:::mimeo-test-outputs-${account}`;
const failures = `arn:aws:s3:::mimeo-test-failures-${account}`;

it('buckets are private, encrypted, swept and refuse plain HTTP', async () => {
  const recording = await recordOutputs();

  const buckets = ofType(recording, 'aws:s3/bucket:Bucket');
  expect(buckets.map(({ inputs }) => inputs.bucket)).toEqual([files.slice(13), failures.slice(13)]);
  for (const [kind, count] of [
    ['bucketPublicAccessBlock:BucketPublicAccessBlock', 2],
    ['bucketOwnershipControls:BucketOwnershipControls', 2],
    ['bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration', 2],
    ['bucketPolicy:BucketPolicy', 2],
  ] as const) {
    const parts = ofType(recording, `aws:s3/${kind}`);
    expect(new Set(parts.map(({ inputs }) => inputs.bucket)).size).toBe(count);
  }
  for (const { inputs } of ofType(recording, 'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock')) {
    expect(Object.values(inputs).filter((value) => value === true)).toHaveLength(4);
  }
  for (const { inputs } of ofType(recording, 'aws:s3/bucketPolicy:BucketPolicy')) {
    expect(statements(inputs.policy)[0]).toMatchObject({ Sid: 'TlsOnly', Effect: 'Deny', Action: 's3:*' });
  }
  const lifecycles = ofType(recording, 'aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration');
  expect(lifecycles[0]?.inputs.rules).toMatchObject([
    { expiration: { days: 30 } },
    { abortIncompleteMultipartUpload: { daysAfterInitiation: 1 } },
  ]);
});

it('files are read through one distribution alone, by signed URLs, and never as pages', async () => {
  const recording = await recordOutputs({ corsOrigins: ['https://app.example.com'] });

  const distribution = only(recording, 'aws:cloudfront/distribution:Distribution');
  const keys = only(recording, 'aws:cloudfront/keyGroup:KeyGroup');
  expect(distribution.inputs.defaultCacheBehavior).toMatchObject({
    viewerProtocolPolicy: 'https-only',
    trustedKeyGroups: [`${keys.name}-id`],
  });
  expect(distribution.inputs.origins).toMatchObject([{ originAccessControlId: expect.stringMatching(/./) }]);
  const headers = only(recording, 'aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy').inputs;
  expect(headers.securityHeadersConfig).toMatchObject({
    contentTypeOptions: { override: true },
    contentSecurityPolicy: { contentSecurityPolicy: expect.stringContaining('sandbox'), override: true },
    referrerPolicy: { referrerPolicy: 'no-referrer', override: true },
  });
  const policies = ofType(recording, 'aws:s3/bucketPolicy:BucketPolicy');
  const policy = policies.find(({ name }) => name === 'outputs-files-policy')?.inputs.policy;
  expect(statements(policy).slice(1)).toEqual([
    {
      Sid: 'ReadByDistribution',
      Effect: 'Allow',
      Principal: { Service: 'cloudfront.amazonaws.com' },
      Action: 's3:GetObject',
      Resource: `${files}/*`,
      Condition: { StringEquals: { 'aws:SourceArn': distribution.outputs.arn } },
    },
  ]);
  const cors = only(recording, 'aws:s3/bucketCorsConfiguration:BucketCorsConfiguration');
  expect(cors.inputs.corsRules).toMatchObject([{ allowedOrigins: ['https://app.example.com'] }]);
});

it('the key that signs lies in a secret only, keeps its first text, and is the one that CloudFront checks by', async () => {
  const recording = await recordOutputs();

  const { result } = recording;
  const version = only(recording, 'aws:secretsmanager/secretVersion:SecretVersion');
  expect(version.ignoreChanges).toEqual(['secretString']);
  // Marked as a secret, which the stack's state encrypts.
  const { value: pem } = version.outputs.secretString as { readonly value: string };
  const encodedKey = only(recording, 'aws:cloudfront/publicKey:PublicKey').inputs.encodedKey;
  const publicKey = createPublicKey(createPrivateKey(pem)).export({ type: 'spki', format: 'pem' });
  expect(encodedKey).toBe(publicKey);
  expect(result.MIMEO_CLOUDFRONT_PRIVATE_KEY).toMatch(/^arn:aws:secretsmanager:/);
  expect(result).toMatchObject({
    MIMEO_BUCKET: files.slice(13),
    MIMEO_CLOUDFRONT_URL: 'https://d111111abcdef8.cloudfront.net',
    MIMEO_CLOUDFRONT_KEY_PAIR_ID: 'K2JCJMDEHXQW5F',
    key: result.MIMEO_CLOUDFRONT_PRIVATE_KEY,
  });
  expect(allowed(recording, 'outputs-read-write-api')).toContain(
    `secretsmanager:GetSecretValue ${result.key}`,
  );
});

it('without CloudFront S3 signs: there is no distribution, no key, and no variable of theirs', async () => {
  const recording = await recordOutputs({ cloudFront: false });

  expect(recording.resources.filter(({ type }) => /cloudfront|secretsmanager/.test(type))).toEqual([]);
  expect(Object.keys(recording.result).filter((name) => name.startsWith('MIMEO_'))).toEqual(['MIMEO_BUCKET']);
});

it('grants reach the files or the failures, and no other’s', async () => {
  const recording = await recordOutputs({ cloudFront: false });

  expect(allowed(recording, 'outputs-read-write-api')).toEqual([
    `s3:AbortMultipartUpload ${files}/*`,
    `s3:DeleteObject ${files}/*`,
    `s3:GetObject ${files}/*`,
    `s3:ListBucket ${files}`,
    `s3:PutObject ${files}/*`,
  ]);
  expect(allowed(recording, 'outputs-remove-sweeper')).toEqual([`s3:DeleteObject ${files}/*`]);
  expect(allowed(recording, 'outputs-write-failures-metering')).toEqual([
    `s3:ListBucket ${failures}`,
    `s3:PutObject ${failures}/*`,
  ]);
});

it('protected buckets are kept with what is in them', async () => {
  const buckets = ofType(await recordOutputs({ isProtected: true }), 'aws:s3/bucket:Bucket');

  expect(
    buckets.map(({ inputs, isProtected, retainsOnDelete }) => [
      inputs.forceDestroy,
      isProtected,
      retainsOnDelete,
    ]),
  ).toEqual([
    [false, true, true],
    [false, true, true],
  ]);
});

it('the channel has maximums and no minimums, and lets in whom it is told of', async () => {
  const recording = await recordParts(async () => {
    const { Channel } = await import('../../../infra/components/channel.ts');
    const network = { vpcId: await known('vpc-1'), storeSubnetIds: await known(['store-1', 'store-2']) };
    const settings = { maxGb: 2, maxEcpuPerSecond: 5000 };
    const channel = new Channel('channel', { identity, settings, network: network as unknown as Network });
    channel.allowFrom('api', await known('sg-api'));
    return { url: channel.url };
  });

  expect(recording.result.url).toBe('rediss://mimeo-test.serverless.use1.cache.amazonaws.com:6379');
  expect(only(recording, 'aws:elasticache/serverlessCache:ServerlessCache').inputs).toMatchObject({
    engine: 'valkey',
    cacheUsageLimits: { dataStorage: { maximum: 2, unit: 'GB' }, ecpuPerSeconds: [{ maximum: 5000 }] },
    subnetIds: ['store-1', 'store-2'],
  });
  expect(JSON.stringify(recording.resources)).not.toContain('"minimum"');
  expect(only(recording, 'aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule').inputs).toMatchObject({
    securityGroupId: 'channel-group-id',
    referencedSecurityGroupId: 'sg-api',
    fromPort: 6379,
    toPort: 6379,
  });
});
