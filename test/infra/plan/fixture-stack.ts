import * as aws from '@pulumi/aws';
import * as awsx from '@pulumi/awsx';
import * as kubernetes from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import { Component } from '../../../infra/components/component.ts';
import type { StackConfig, TierConfig } from '../../../infra/config.ts';

/** A component whose children are made outside of it, so that a fixture reads as a list. */
class Part extends Component {
  make<Args, Made>(
    type: new (name: string, args: Args, opts: pulumi.CustomResourceOptions) => Made,
    role: string,
    args: NoInfer<Args>,
  ): Made {
    return new type(this.childName(role), args, this.child());
  }
}

/** One resource of each kind that a stack usually has: small enough to reckon its bill by hand. */
export function createFixtureStack({ config }: { readonly config: StackConfig }): {
  readonly url: string;
} {
  const provider = new aws.Provider('aws', { region: config.region as aws.Region });
  const part = (noun: string, name: string) => new Part(noun, name, { providers: { aws: provider } });
  const vpc = makeNetwork(part('Network', 'network'), config);
  makeCluster(part('Cluster', 'cluster'), config);
  for (const tier of config.tiers) makeTier(part('GpuTier', `tier-${tier.sku}`), tier);
  makeApi(part('Api', 'api'), config, vpc);
  makeStores(part('Stores', 'stores'), config);
  makeFunctions(part('Functions', 'functions'));
  makeWatching(part('Observability', 'observability'), config);
  return { url: 'https://mimeo.example.com' };
}

const strategies = { none: 'None', single: 'Single', 'one-per-az': 'OnePerAz' } as const;

function makeNetwork(part: Part, { network }: StackConfig): awsx.ec2.Vpc {
  const vpc = part.make(awsx.ec2.Vpc, 'vpc', {
    cidrBlock: network.cidr,
    numberOfAvailabilityZones: network.availabilityZones,
    natGateways: { strategy: strategies[network.nat] },
  });
  part.make(aws.ec2.VpcEndpoint, 's3', { vpcId: vpc.vpcId, serviceName: 'com.amazonaws.us-east-1.s3' });
  for (const service of network.interfaceEndpoints) {
    part.make(aws.ec2.VpcEndpoint, service.replaceAll('.', '-'), {
      vpcId: vpc.vpcId,
      serviceName: `com.amazonaws.us-east-1.${service}`,
      vpcEndpointType: 'Interface',
      subnetIds: vpc.privateSubnetIds,
    });
  }
  if (network.flowLogs) {
    const group = part.make(aws.cloudwatch.LogGroup, 'logs', { retentionInDays: 7 });
    part.make(aws.ec2.FlowLog, 'flow', { logDestination: group.arn, vpcId: vpc.vpcId, trafficType: 'ALL' });
  }
  return vpc;
}

function makeCluster(part: Part, { cluster }: StackConfig): void {
  const role = part.make(aws.iam.Role, 'role', { assumeRolePolicy: '{}' });
  const key = part.make(aws.kms.Key, 'key', { enableKeyRotation: true });
  part.make(aws.cloudwatch.LogGroup, 'logs', { name: '/aws/eks/mimeo-test/cluster', retentionInDays: 7 });
  part.make(aws.eks.Cluster, 'cluster', {
    roleArn: role.arn,
    upgradePolicy: { supportType: 'STANDARD' },
    vpcConfig: { subnetIds: ['subnet-1', 'subnet-2'] },
    encryptionConfig: { provider: { keyArn: key.arn }, resources: ['secrets'] },
    enabledClusterLogTypes: cluster.logs,
  });
  const template = part.make(aws.ec2.LaunchTemplate, 'system', {
    blockDeviceMappings: [{ deviceName: '/dev/xvda', ebs: { volumeSize: 20, volumeType: 'gp3' } }],
  });
  const { instanceType, min, max } = cluster.systemNodes;
  part.make(aws.eks.NodeGroup, 'system', {
    clusterName: 'mimeo-test',
    nodeRoleArn: role.arn,
    subnetIds: ['subnet-1'],
    instanceTypes: [instanceType],
    scalingConfig: { minSize: min, maxSize: max, desiredSize: min },
    launchTemplate: { id: template.id, version: '1' },
  });
}

function makeTier(part: Part, tier: TierConfig): void {
  const template = part.make(aws.ec2.LaunchTemplate, 'machine', {
    blockDeviceMappings: [
      {
        deviceName: '/dev/xvda',
        ebs: { volumeSize: tier.diskGb, volumeType: 'gp3', iops: 6000, throughput: 625 },
      },
    ],
  });
  part.make(aws.eks.NodeGroup, 'nodes', {
    clusterName: 'mimeo-test',
    nodeRoleArn: 'arn:aws:iam::123456789012:role/node',
    subnetIds: ['subnet-1'],
    instanceTypes: [...tier.instanceTypes],
    capacityType: tier.capacity === 'spot' ? 'SPOT' : 'ON_DEMAND',
    labels: { 'mimeo.dev/sku': tier.sku },
    scalingConfig: { minSize: tier.min, maxSize: tier.max, desiredSize: tier.min },
    launchTemplate: { id: template.id, version: '1' },
    ...(tier.warmPool > 0 ? { warmPoolConfig: { minSize: tier.warmPool, poolState: 'STOPPED' } } : {}),
  });
}

function makeApi(part: Part, { api, network }: StackConfig, vpc: awsx.ec2.Vpc): void {
  part.make(awsx.lb.ApplicationLoadBalancer, 'balancer', { subnetIds: vpc.publicSubnetIds });
  const cluster = part.make(aws.ecs.Cluster, 'cluster', {});
  part.make(aws.cloudwatch.LogGroup, 'logs', { retentionInDays: 7 });
  part.make(awsx.ecs.FargateService, 'service', {
    cluster: cluster.arn,
    desiredCount: api.min,
    networkConfiguration: { subnets: ['subnet-1'], assignPublicIp: network.nat === 'none' },
    taskDefinitionArgs: {
      cpu: String(api.cpu),
      memory: String(api.memory),
      runtimePlatform: { cpuArchitecture: 'ARM64', operatingSystemFamily: 'LINUX' },
      container: { name: 'api', image: 'example/api@sha256:0' },
    },
  });
  part.make(aws.appautoscaling.Target, 'target', {
    serviceNamespace: 'ecs',
    resourceId: 'service/cluster/service',
    scalableDimension: 'ecs:service:DesiredCount',
    minCapacity: api.min,
    maxCapacity: api.max,
  });
  part.make(aws.servicediscovery.PrivateDnsNamespace, 'names', { vpc: vpc.vpcId });
}

function makeStores(part: Part, { channel, protection }: StackConfig): void {
  part.make(aws.dynamodb.Table, 'table', {
    billingMode: 'PAY_PER_REQUEST',
    hashKey: 'pk',
    attributes: [{ name: 'pk', type: 'S' }],
    pointInTimeRecovery: { enabled: protection.tableBackupDays > 0 },
  });
  part.make(aws.sqs.Queue, 'dead-letters', {});
  part.make(aws.s3.Bucket, 'bucket', {});
  part.make(aws.secretsmanager.Secret, 'signing-key', {});
  part.make(aws.secretsmanager.Secret, 'first-token', {});
  part.make(aws.elasticache.ServerlessCache, 'valkey', {
    engine: 'valkey',
    cacheUsageLimits: {
      dataStorage: { maximum: channel.maxGb, unit: 'GB' },
      ecpuPerSeconds: [{ maximum: channel.maxEcpuPerSecond }],
    },
  });
  new kubernetes.core.v1.Namespace('stores-models', {}, { parent: part });
}

function makeFunctions(part: Part): void {
  const called = part.make(aws.lambda.Function, 'sweeper', {
    role: 'arn:aws:iam::123456789012:role/sweeper',
    architectures: ['arm64'],
    memorySize: 256,
  });
  part.make(aws.scheduler.Schedule, 'minute', {
    scheduleExpression: 'rate(1 minute)',
    flexibleTimeWindow: { mode: 'OFF' },
    target: { arn: called.arn, roleArn: 'arn:aws:iam::123456789012:role/scheduler' },
  });
}

function makeWatching(part: Part, { observability }: StackConfig): void {
  if (observability.dashboard) {
    part.make(aws.cloudwatch.Dashboard, 'dashboard', { dashboardName: 'mimeo-test', dashboardBody: '{}' });
  }
  if (!observability.alarms) return;
  const metric = (name: string) => ({
    id: name,
    metric: { metricName: name, namespace: 'AWS/ApplicationELB', period: 60, stat: 'Sum' },
  });
  part.make(aws.cloudwatch.MetricAlarm, 'errors', {
    comparisonOperator: 'GreaterThanThreshold',
    evaluationPeriods: 1,
    metricQueries: [
      metric('errors'),
      metric('all'),
      { id: 'rate', expression: 'errors/all', returnData: true },
    ],
  });
}
