import * as aws from '@pulumi/aws';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { systemLabel } from '../../services/core/kubernetes-names.ts';
import type { StackConfig } from '../config.ts';
import { serviceCidr } from '../config-rules.ts';
import { physicalName } from '../names.ts';
import { systemNodeDiskGb } from '../standing-cost.ts';
import { grantAdministrators } from './cluster-access.ts';
import { createAddon, createCni } from './cluster-addons.ts';
import { Component, type StackIdentity } from './component.ts';
import { type Grantee, serviceRole } from './grant.ts';
import { kubeconfigOf } from './kubeconfig.ts';
import { createLaunchTemplate } from './launch-template.ts';
import type { Network } from './network.ts';
import { newestNodeImage } from './node-image.ts';
import { createSystemPolicies } from './system-policies.ts';

export interface ClusterArgs {
  readonly identity: StackIdentity;
  readonly network: Network;
  readonly settings: StackConfig['cluster'];
  /** ARN of the principal that runs the program, which makes objects in it. */
  readonly runner: string;
  /** How long control-plane logs are kept. */
  readonly logs: StackConfig['logs'];
  /** Whether it refuses to be deleted. */
  readonly isProtected: boolean;
}

/**
 * The Kubernetes of models: EKS, entered by IAM principals that are named here and by nobody else, with the few
 * machines on which the director, the autoscaler and DNS run.
 */
export class Cluster extends Component {
  public readonly name: string;
  /** Of Kubernetes: its machines and add-ons follow. */
  public readonly version: string;
  public readonly arn: pulumi.Output<string>;
  public readonly endpoint: pulumi.Output<string>;
  /** Base64. */
  public readonly certificateAuthority: pulumi.Output<string>;
  /** Who signs the tokens of its ServiceAccounts: a URL. */
  public readonly issuer: pulumi.Output<string>;
  /** The security group of its machines and of its API server. */
  public readonly securityGroupId: pulumi.Output<string>;
  /** Makes objects in it, once it can run them. */
  public readonly provider: k8s.Provider;
  public readonly kubeconfigCommand: pulumi.Output<string>;
  /** The role of every machine. */
  public readonly nodeRole: Grantee;
  /** What must stand before pods run. */
  public readonly ready: readonly pulumi.Resource[];

  readonly #args: ClusterArgs;

  constructor(name: string, args: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Cluster', name, opts);
    this.#args = args;
    const { project, environment, region } = args.identity;
    this.name = physicalName('cluster', project, environment);
    this.version = args.settings.version;

    const cluster = this.#createCluster();
    this.arn = cluster.arn;
    this.endpoint = cluster.endpoint;
    this.certificateAuthority = cluster.certificateAuthority.data;
    this.issuer = cluster.identities.apply(([first]) => first?.oidcs[0]?.issuer ?? '');
    this.securityGroupId = cluster.vpcConfig.clusterSecurityGroupId;
    this.kubeconfigCommand = pulumi.interpolate`aws eks update-kubeconfig --region ${region} --name ${cluster.name}`;

    const access = this.#grantAccess(cluster);
    this.nodeRole = this.#createNodeRole();
    const permissions = this.#attachNodePolicies();
    const place = {
      clusterName: cluster.name,
      version: this.version,
      childName: (role: string) => this.childName(role),
    };
    // Machines become ready once they have a network, so its add-ons come before them.
    const cni = createCni(place, this.child());
    const proxy = createAddon(place, 'kube-proxy', this.child());
    const agents = ['eks-pod-identity-agent', 'eks-node-monitoring-agent'].map((addon) =>
      createAddon(place, addon, this.child()),
    );
    const nodes = this.#createSystemNodes(cluster, [cni, proxy, ...permissions]);
    // EKS takes a few seconds to heed an access entry, and a minute for an add-on.
    const early = this.#createProvider('admission', [...access, cni]);
    const policies = createSystemPolicies(place, early, this);
    const dns = createAddon(place, 'coredns', this.child({ dependsOn: [nodes, ...policies] }));
    this.ready = [...access, ...permissions, ...policies, cni, proxy, ...agents, nodes, dns];
    this.provider = this.#createProvider('kubernetes', this.ready);
    this.registerOutputs({ name: cluster.name, endpoint: this.endpoint, issuer: this.issuer });
  }

  #createCluster(): aws.eks.Cluster {
    const { identity, network, settings, isProtected } = this.#args;
    const { project, environment } = identity;
    const { role } = serviceRole(this.childName('control-plane'), 'eks.amazonaws.com', this.child(), {
      name: physicalName('role', project, environment, 'cluster'),
      description: 'The control plane of the cluster',
    });
    const permission = new aws.iam.RolePolicyAttachment(
      this.childName('control-plane-policy'),
      { role: role.name, policyArn: 'arn:aws:iam::aws:policy/AmazonEKSClusterPolicy' },
      this.child(),
    );
    const isPublic = settings.endpoint === 'public';
    return new aws.eks.Cluster(
      this.childName('control-plane'),
      {
        name: this.name,
        version: this.version,
        roleArn: role.arn,
        accessConfig: { authenticationMode: 'API', bootstrapClusterCreatorAdminPermissions: false },
        // Those that are wanted are add-ons, which EKS keeps up to date.
        bootstrapSelfManagedAddons: false,
        deletionProtection: isProtected,
        enabledClusterLogTypes: [...settings.logs],
        encryptionConfig: { provider: { keyArn: this.#createKey().arn }, resources: ['secrets'] },
        kubernetesNetworkConfig: { ipFamily: 'ipv4', serviceIpv4Cidr: serviceCidr },
        // After standard support it is upgraded: staying behind costs $0.60 an hour instead of $0.10.
        upgradePolicy: { supportType: 'STANDARD' },
        vpcConfig: {
          subnetIds: network.nodeSubnetIds,
          // Machines reach it inside the VPC.
          endpointPrivateAccess: true,
          endpointPublicAccess: isPublic,
          ...(isPublic ? { publicAccessCidrs: [...settings.endpointCidrs] } : {}),
        },
      },
      // EKS would make the log group itself, and keep what is in it for ever.
      this.child({ dependsOn: [permission, ...this.#createLogGroup()] }),
    );
  }

  #createKey(): aws.kms.Key {
    return new aws.kms.Key(
      this.childName('secrets-key'),
      {
        description: 'Secrets of the cluster',
        enableKeyRotation: true,
        deletionWindowInDays: this.#args.isProtected ? 30 : 7,
      },
      this.child(),
    );
  }

  #createLogGroup(): readonly aws.cloudwatch.LogGroup[] {
    const { settings, logs } = this.#args;
    if (settings.logs.length === 0) return [];
    return [
      new aws.cloudwatch.LogGroup(
        this.childName('logs'),
        { name: `/aws/eks/${this.name}/cluster`, retentionInDays: logs.retentionDays },
        this.child(),
      ),
    ];
  }

  #grantAccess(cluster: aws.eks.Cluster): readonly pulumi.Resource[] {
    const { runner, settings } = this.#args;
    return grantAdministrators(
      (role) => this.childName(role),
      { clusterName: cluster.name, principals: [runner, ...settings.administrators] },
      this.child(),
    );
  }

  #createNodeRole(): Grantee {
    const { project, environment } = this.#args.identity;
    return serviceRole(this.childName('node'), 'ec2.amazonaws.com', this.child(), {
      name: physicalName('role', project, environment, 'node'),
      description: 'Machines of the cluster; pods do not get it',
    });
  }

  /** Machines cannot join without them, nor leave in order. */
  #attachNodePolicies(): readonly pulumi.Resource[] {
    return nodePolicies.map(
      ({ role, name }) =>
        new aws.iam.RolePolicyAttachment(
          this.childName(`node-${role}`),
          { role: this.nodeRole.role.name, policyArn: `arn:aws:iam::aws:policy/${name}` },
          this.child(),
        ),
    );
  }

  #createSystemNodes(cluster: aws.eks.Cluster, before: readonly pulumi.Resource[]): aws.eks.NodeGroup {
    const { identity, network, settings } = this.#args;
    const { project, environment } = identity;
    const { instanceType, min, max } = settings.systemNodes;
    const template = createLaunchTemplate(
      this.childName('system-machine'),
      {
        identity,
        machineName: `${this.name}-system`,
        disk: { sizeGb: systemNodeDiskGb },
      },
      this.child(),
    );
    return new aws.eks.NodeGroup(
      this.childName('system-nodes'),
      {
        clusterName: cluster.name,
        nodeGroupName: physicalName('nodeGroup', project, environment, 'system'),
        nodeRoleArn: this.nodeRole.role.arn,
        subnetIds: network.nodeSubnetIds,
        ...newestNodeImage('AL2023_ARM_64_STANDARD', this.version, this.child()),
        capacityType: 'ON_DEMAND',
        instanceTypes: [instanceType],
        launchTemplate: { id: template.id, version: template.latestVersion.apply(String) },
        scalingConfig: { minSize: min, maxSize: max, desiredSize: min },
        updateConfig: { maxUnavailable: 1 },
        nodeRepairConfig: { enabled: true },
        labels: { [systemLabel]: 'true' },
      },
      this.child({ dependsOn: [...before], ignoreChanges: ['scalingConfig.desiredSize'] }),
    );
  }

  #createProvider(role: string, dependsOn: readonly pulumi.Resource[]): k8s.Provider {
    return new k8s.Provider(
      this.childName(role),
      {
        kubeconfig: kubeconfigOf({
          name: this.name,
          region: this.#args.identity.region,
          endpoint: this.endpoint,
          certificateAuthority: this.certificateAuthority,
        }),
        // One cluster whatever else of its configuration changes, so that objects are updated and not made anew.
        clusterIdentifier: this.arn,
        enableServerSideApply: true,
        // Not deleteUnreachable: a cluster that cannot be reached, from a new address say, has lost nothing, and a
        // refresh that took its objects for gone would have them made twice. Where the stack is taken away
        // infra/cli/down.ts says it, by PULUMI_K8S_DELETE_UNREACHABLE.
      },
      this.child({ dependsOn: [...dependsOn] }),
    );
  }
}

/** Source: EKS user guide, "Amazon EKS node IAM role". Of the registry they may only pull. */
const nodePolicies = [
  { role: 'worker', name: 'AmazonEKSWorkerNodePolicy' },
  { role: 'network', name: 'AmazonEKS_CNI_Policy' },
  { role: 'pull', name: 'AmazonEC2ContainerRegistryPullOnly' },
] as const;
