import * as aws from '@pulumi/aws';
import * as awsx from '@pulumi/awsx';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { Component } from '../../../infra/components/component.ts';
import { readProgramConfig } from '../../../infra/program-config.ts';

/** A program as small as can be that has what infra has: components, awsx's, a cluster that is made and then spoken to. */
const { project, environment, region, logs, protection, tiers } = readProgramConfig();

class Fleet extends Component {
  readonly queueUrl: pulumi.Output<string>;
  readonly namespace: pulumi.Output<string>;

  constructor(name: string, opts: pulumi.ComponentResourceOptions) {
    super('Fleet', name, opts);
    const vpc = new awsx.ec2.Vpc(
      this.childName('vpc'),
      {
        cidrBlock: '10.40.0.0/16',
        numberOfAvailabilityZones: 2,
        natGateways: { strategy: 'Single' },
        subnetSpecs: [{ type: 'Public' }, { type: 'Private' }],
      },
      this.child(),
    );
    const role = new aws.iam.Role(
      this.childName('role'),
      { name: 'mimeo-fleet', assumeRolePolicy: '{}' },
      this.child(),
    );
    const cluster = new aws.eks.Cluster(
      this.childName('cluster'),
      { name: 'mimeo-fleet', roleArn: role.arn, vpcConfig: { subnetIds: vpc.privateSubnetIds } },
      this.child(),
    );
    for (const { sku, min, max } of tiers) {
      new aws.eks.NodeGroup(
        this.childName(sku),
        {
          clusterName: cluster.name,
          nodeRoleArn: role.arn,
          subnetIds: vpc.privateSubnetIds,
          scalingConfig: { minSize: 0, maxSize: max, desiredSize: min },
        },
        this.child({ ignoreChanges: ['scalingConfig.desiredSize'] }),
      );
    }
    const queue = new aws.sqs.Queue(
      this.childName('queue'),
      { name: 'mimeo-jobs', messageRetentionSeconds: logs.retentionDays * 86_400 },
      this.child(),
    );
    new aws.dynamodb.Table(
      this.childName('table'),
      { name: 'mimeo-table', hashKey: 'pk', attributes: [{ name: 'pk', type: 'S' }] },
      this.child({ retainOnDelete: protection.deletion }),
    );
    new aws.s3.Bucket(
      this.childName('outputs'),
      { bucket: 'mimeo-outputs' },
      this.child({ protect: protection.deletion }),
    );
    new aws.iam.RolePolicy(
      this.childName('policy'),
      {
        role: role.name,
        policy: pulumi.jsonStringify({ Statement: [{ Resource: queue.arn, Action: ['sqs:SendMessage'] }] }),
      },
      this.child(),
    );
    const kubeconfig = pulumi.jsonStringify({
      server: cluster.endpoint,
      issuer: cluster.identities.apply((all) => all[0]?.oidcs?.[0]?.issuer),
    });
    const provider = new k8s.Provider(this.childName('kubernetes'), { kubeconfig }, this.child());
    const namespace = new k8s.core.v1.Namespace(
      this.childName('models'),
      { metadata: { name: 'mimeo-models' } },
      this.child({ provider }),
    );
    new k8s.core.v1.ConfigMap(
      this.childName('settings'),
      { metadata: { namespace: namespace.metadata.name }, data: { queue: queue.url } },
      this.child({ provider }),
    );
    this.queueUrl = queue.url;
    this.namespace = namespace.metadata.name;
    this.registerOutputs({ queueUrl: this.queueUrl });
  }
}

const provider = new aws.Provider('aws', {
  region: region as aws.Region,
  defaultTags: { tags: { 'mimeo:project': 'mimeo' } },
});
const fleet = new Fleet('fleet', { providers: { aws: provider } });

export const queueUrl = fleet.queueUrl;
export const namespace = fleet.namespace;
/** What commands ask a stack for. */
export const queuePrefix = `${project}-${environment}-`;
export const registry = `123456789012.dkr.ecr.${region}.amazonaws.com/${project}/${environment}`;
export const kubeconfig = `aws eks update-kubeconfig --region ${region} --name mimeo-fleet`;
export const account = aws.getCallerIdentityOutput({}, { provider }).accountId;
