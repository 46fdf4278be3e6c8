import * as aws from '@pulumi/aws';
import * as awsx from '@pulumi/awsx';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { Component } from '../../../infra/components/component.ts';

/** A program as small as can be that has what infra has: components, awsx's, a cluster that is made and then spoken to. */
const config = new pulumi.Config();
const queueSettings = config.requireObject<{ readonly retentionSeconds: number }>('queue');
const nodeSettings = config.requireObject<{ readonly desired: number; readonly max: number }>('nodes');

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
    new aws.eks.NodeGroup(
      this.childName('nodes'),
      {
        clusterName: cluster.name,
        nodeRoleArn: role.arn,
        subnetIds: vpc.privateSubnetIds,
        scalingConfig: { minSize: 0, maxSize: nodeSettings.max, desiredSize: nodeSettings.desired },
      },
      this.child({ ignoreChanges: ['scalingConfig.desiredSize'] }),
    );
    const queue = new aws.sqs.Queue(
      this.childName('queue'),
      { name: 'mimeo-jobs', messageRetentionSeconds: queueSettings.retentionSeconds },
      this.child(),
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
  region: 'us-east-1',
  defaultTags: { tags: { 'mimeo:project': 'mimeo' } },
});
const fleet = new Fleet('fleet', { providers: { aws: provider } });

export const queueUrl = fleet.queueUrl;
export const namespace = fleet.namespace;
export const account = aws.getCallerIdentityOutput({}, { provider }).accountId;
