import * as aws from '@pulumi/aws';
import * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import { autoscalerReleases } from '../aws/kubernetes-versions.ts';
import { physicalName } from '../names.ts';
import { autoscalerRules } from './autoscaler-rules.ts';
import type { Cluster } from './cluster.ts';
import { Component, type StackIdentity } from './component.ts';
import { type Grantee, grant, serviceRole } from './grant.ts';
import { autoscalerEgress, type Surroundings } from './network-policies.ts';
import { systemContainer, systemPod } from './system-pods.ts';

export interface AutoscalerArgs {
  readonly identity: StackIdentity;
  readonly cluster: Cluster;
  /** Of Kubernetes, such as 1.36: the autoscaler follows it. */
  readonly version: string;
  /** Where it runs; the namespace is there already. */
  readonly namespace: string;
  readonly surroundings: Surroundings;
  /** What stands before its objects: the namespaces that they are in. */
  readonly after: readonly pulumi.Resource[];
}

const account = 'cluster-autoscaler';

/** Starts and stops the machines of tiers as pods come and go. */
export class Autoscaler extends Component {
  /** Who starts machines. */
  readonly grantee: Grantee;
  readonly #args: AutoscalerArgs;
  /** Options of children, which come after the namespaces that they are in. */
  readonly #inside: pulumi.CustomResourceOptions;

  constructor(name: string, args: AutoscalerArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Autoscaler', name, opts);
    this.#args = args;
    this.#inside = this.child({ dependsOn: [...args.after] });
    this.grantee = this.#createRole();
    const identity = this.#allow(this.grantee);
    const access = this.#createAccess();
    const policy = new k8s.networking.v1.NetworkPolicy(
      this.childName('egress'),
      { metadata: this.#called(account), spec: autoscalerEgress(args.surroundings) },
      this.#inside,
    );
    // A pod gets credentials only if it starts after they were promised to its account.
    this.#createDeployment([...identity, ...access, policy]);
    this.registerOutputs({});
  }

  #createRole(): Grantee {
    const { identity } = this.#args;
    return serviceRole(this.childName('role'), 'pods.eks.amazonaws.com', this.#inside, {
      name: physicalName('role', identity.project, identity.environment, 'autoscaler'),
      description: 'Changes how many machines the tiers of the cluster have',
    });
  }

  #allow(grantee: Grantee): readonly pulumi.Resource[] {
    const { cluster, namespace } = this.#args;
    const association = new aws.eks.PodIdentityAssociation(
      this.childName('identity'),
      { clusterName: cluster.name, namespace, serviceAccount: account, roleArn: grantee.role.arn },
      this.#inside,
    );
    return [this.#grantScaling(grantee), association];
  }

  /** Source: kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/README.md, "IAM Policy". */
  #grantScaling(grantee: Grantee): aws.iam.RolePolicy {
    const { cluster, identity } = this.#args;
    const mine = {
      StringEquals: { [`aws:ResourceTag/k8s.io/cluster-autoscaler/${cluster.name}`]: 'owned' },
    };
    const groups = `arn:aws:autoscaling:${identity.region}:*:autoScalingGroup:*:autoScalingGroupName/*`;
    const nodeGroups = cluster.arn.apply((arn) => `${arn.replace(':cluster/', ':nodegroup/')}/*/*`);
    return grant(
      this.childName('scale'),
      grantee,
      [
        {
          actions: ['autoscaling:SetDesiredCapacity', 'autoscaling:TerminateInstanceInAutoScalingGroup'],
          resources: [groups],
          conditions: mine,
        },
        { actions: ['eks:DescribeNodegroup'], resources: [nodeGroups] },
        {
          why: 'DescribeCallsTakeNoResource',
          actions: [
            'autoscaling:DescribeAutoScalingGroups',
            'autoscaling:DescribeAutoScalingInstances',
            'autoscaling:DescribeLaunchConfigurations',
            'autoscaling:DescribeScalingActivities',
            'autoscaling:DescribeTags',
            'ec2:DescribeImages',
            'ec2:DescribeInstanceTypes',
            'ec2:DescribeLaunchTemplateVersions',
            'ec2:GetInstanceTypesFromInstanceRequirements',
          ],
          resources: ['*'],
        },
      ],
      this.#inside,
    );
  }

  #createAccess(): readonly pulumi.Resource[] {
    const { namespace } = this.#args;
    const rules = autoscalerRules(account);
    const subjects = [{ kind: 'ServiceAccount', name: account, namespace }];
    const apiGroup = 'rbac.authorization.k8s.io';
    return [
      new k8s.core.v1.ServiceAccount(
        this.childName('account'),
        { metadata: this.#called(account) },
        this.#inside,
      ),
      new k8s.rbac.v1.ClusterRole(
        this.childName('cluster-role'),
        { metadata: { name: `mimeo-${account}` }, rules: [...rules.everywhere] },
        this.#inside,
      ),
      new k8s.rbac.v1.ClusterRoleBinding(
        this.childName('cluster-binding'),
        {
          metadata: { name: `mimeo-${account}` },
          roleRef: { apiGroup, kind: 'ClusterRole', name: `mimeo-${account}` },
          subjects,
        },
        this.#inside,
      ),
      new k8s.rbac.v1.Role(
        this.childName('own-role'),
        { metadata: this.#called(account), rules: [...rules.own] },
        this.#inside,
      ),
      new k8s.rbac.v1.RoleBinding(
        this.childName('own-binding'),
        {
          metadata: this.#called(account),
          roleRef: { apiGroup, kind: 'Role', name: account },
          subjects,
        },
        this.#inside,
      ),
    ];
  }

  #createDeployment(dependsOn: readonly pulumi.Resource[]): void {
    const { cluster, identity, version, namespace } = this.#args;
    const labels = { app: account };
    const tags = `k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/${cluster.name}`;
    new k8s.apps.v1.Deployment(
      this.childName('deployment'),
      {
        metadata: { ...this.#called(account), labels },
        spec: {
          // It elects a leader, so that the one of a rolling update and the one before it do not both scale.
          replicas: 1,
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: {
              ...systemPod,
              serviceAccountName: account,
              containers: [
                {
                  name: 'autoscaler',
                  image: `registry.k8s.io/autoscaling/cluster-autoscaler:${releaseFor(version)}`,
                  command: ['./cluster-autoscaler'],
                  args: [
                    '--cloud-provider=aws',
                    `--namespace=${namespace}`,
                    `--node-group-auto-discovery=asg:tag=${tags}`,
                    '--expander=least-waste',
                    // A tier's own tag says more; a machine is looked at from its first minute on.
                    '--scale-down-delay-after-add=2m',
                    '--max-node-provision-time=15m',
                    // DaemonSets' pods do not keep a machine; models' pods do, until the director ends them.
                    '--skip-nodes-with-system-pods=false',
                    '--skip-nodes-with-local-storage=true',
                    '--ignore-daemonsets-utilization=true',
                    '--balance-similar-node-groups=false',
                    '--logtostderr=true',
                    '--v=2',
                  ],
                  env: [{ name: 'AWS_REGION', value: identity.region }],
                  resources: { requests: { cpu: '50m', memory: '256Mi' }, limits: { memory: '600Mi' } },
                  livenessProbe: {
                    httpGet: { path: '/health-check', port: 8085 },
                    initialDelaySeconds: 60,
                    periodSeconds: 20,
                  },
                  securityContext: systemContainer,
                },
              ],
            },
          },
        },
      },
      this.child({ dependsOn: [...dependsOn] }),
    );
  }

  #called(name: string): { name: string; namespace: string } {
    return { name, namespace: this.#args.namespace };
  }
}

function releaseFor(version: string): string {
  const release = autoscalerReleases[version];
  if (release === undefined) throw new Error(`No autoscaler is known for Kubernetes ${version}`);
  return release;
}
