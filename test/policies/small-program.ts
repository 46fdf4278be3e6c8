import { type Recording, record } from '../../infra/plan/record.ts';

/** Records a small stack of dev that is right in some things and wrong in others. It stands for less than 150 USD a month. */
export function recordSmallProgram(): Promise<Recording<unknown>> {
  return record(
    async () => {
      const [aws, awsx] = await Promise.all([import('@pulumi/aws'), import('@pulumi/awsx')]);
      const provider = new aws.Provider('aws', {
        region: 'us-east-1',
        defaultTags: { tags: { 'mimeo:project': 'mimeo', 'mimeo:environment': 'dev' } },
      });
      const opts = { provider };
      new awsx.ec2.Vpc('vpc', { natGateways: { strategy: 'Single' } }, { providers: { aws: provider } });

      const blocked = new aws.s3.Bucket('blocked', {}, opts);
      new aws.s3.BucketPublicAccessBlock(
        'block',
        {
          bucket: blocked.bucket,
          blockPublicAcls: true,
          blockPublicPolicy: true,
          ignorePublicAcls: true,
          restrictPublicBuckets: true,
        },
        opts,
      );
      new aws.s3.Bucket('open', { forceDestroy: true }, opts);

      const letters = new aws.sqs.Queue(
        'dead-letter',
        { sqsManagedSseEnabled: true, messageRetentionSeconds: 1_209_600 },
        opts,
      );
      const redrivePolicy = letters.arn.apply((arn) =>
        JSON.stringify({ deadLetterTargetArn: arn, maxReceiveCount: 3 }),
      );
      new aws.sqs.Queue('waiting', { sqsManagedSseEnabled: true, redrivePolicy }, opts);
      new aws.sqs.Queue('forgotten', {}, opts);

      const role = new aws.iam.Role('role', { assumeRolePolicy: '{"Statement":[]}' }, opts);
      const policy = letters.arn.apply((arn) =>
        JSON.stringify({ Statement: [{ Effect: 'Allow', Action: ['sqs:*'], Resource: arn }] }),
      );
      new aws.iam.RolePolicy('role-policy', { role: role.name, policy }, opts);
      new aws.eks.NodeGroup(
        'nodes',
        {
          clusterName: 'mimeo-dev',
          nodeRoleArn: role.arn,
          subnetIds: [],
          instanceTypes: ['g4dn.xlarge'],
          scalingConfig: { minSize: 0, desiredSize: 1, maxSize: 1 },
        },
        opts,
      );
      new aws.cloudwatch.LogGroup('untagged-logs', { retentionInDays: 14 });
      return {};
    },
    { project: 'mimeo', environment: 'dev' },
  );
}
