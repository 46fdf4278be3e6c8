import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';
import {
  acceleratorLabel,
  gpuResource,
  modelsTaint,
  skuLabel,
} from '../../services/core/kubernetes-names.ts';
import { imageDiskGib } from '../aws/allocatable.ts';
import { findInstanceType } from '../aws/prices.ts';
import type { TierConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import type { Cluster } from './cluster.ts';
import { Component, type StackIdentity } from './component.ts';
import { createLaunchTemplate, nodeConfigUserData, type RootDisk } from './launch-template.ts';
import type { Network } from './network.ts';
import { newestNodeImage } from './node-image.ts';

export interface GpuTierArgs {
  readonly identity: StackIdentity;
  readonly network: Network;
  readonly cluster: Cluster;
  readonly tier: TierConfig;
}

/** MB/s of a disk that images are unpacked to; more than most such machines take. */
const imageDiskThroughput = 600;
/** GB of the first disk of a machine whose images lie on its own NVMe disks. */
const systemDiskGb = 50;

/** The machines of one SKU, with a GPU or without, of which there are none until a model's pod waits for one. */
export class GpuTier extends Component {
  public readonly sku: string;
  public readonly tier: TierConfig;
  public readonly nodeGroupName: pulumi.Output<string>;
  /** What EKS starts its machines by; metrics and budgets go by it. */
  public readonly autoscalingGroupName: pulumi.Output<string>;

  readonly #args: GpuTierArgs;
  /** The model of its machines' GPUs, such as `t4`; undefined where they have none. */
  readonly #accelerator: string | undefined;

  constructor(name: string, args: GpuTierArgs, opts?: pulumi.ComponentResourceOptions) {
    super('GpuTier', name, opts);
    const { tier } = args;
    this.#args = args;
    this.sku = tier.sku;
    this.tier = tier;
    const { gpu } = findInstanceType(tier.instanceTypes[0] ?? '') ?? {};
    this.#accelerator = gpu?.model.toLowerCase().replace(/[^a-z0-9]+/g, '-');

    const group = this.#createNodeGroup();
    this.nodeGroupName = group.nodeGroupName;
    this.autoscalingGroupName = group.resources.apply(
      ([resources]) => resources?.autoscalingGroups?.[0]?.name ?? '',
    );
    this.#tagAutoscalingGroup();
    this.registerOutputs({
      nodeGroupName: this.nodeGroupName,
      autoscalingGroupName: this.autoscalingGroupName,
    });
  }

  #createNodeGroup(): aws.eks.NodeGroup {
    const { identity, network, cluster, tier } = this.#args;
    const { project, environment } = identity;
    const template = this.#createTemplate();
    const amiType = this.#accelerator === undefined ? 'AL2023_x86_64_STANDARD' : 'AL2023_x86_64_NVIDIA';
    return new aws.eks.NodeGroup(
      this.childName('nodes'),
      {
        clusterName: cluster.name,
        nodeGroupName: physicalName('nodeGroup', project, environment, tier.sku),
        nodeRoleArn: cluster.nodeRole.role.arn,
        subnetIds: network.nodeSubnetIds,
        ...newestNodeImage(amiType, cluster.version, this.child()),
        capacityType: tier.capacity === 'spot' ? 'SPOT' : 'ON_DEMAND',
        instanceTypes: [...tier.instanceTypes],
        launchTemplate: { id: template.id, version: template.latestVersion.apply(String) },
        scalingConfig: { minSize: tier.min, maxSize: tier.max, desiredSize: tier.min },
        updateConfig: { maxUnavailable: 1 },
        nodeRepairConfig: { enabled: true, maxParallelNodesRepairedCount: 1 },
        ...(tier.warmPool > 0 ? { warmPoolConfig: warmPoolOf(tier.warmPool) } : {}),
        labels: this.#labels(),
        taints: Object.entries(this.#taints()).map(([key, value]) => ({
          key,
          value,
          effect: 'NO_SCHEDULE',
        })),
        tags: this.#tags(),
      },
      this.child({
        dependsOn: [...cluster.ready],
        // The autoscaler decides how many there are: each `up` would send them all away.
        ignoreChanges: ['scalingConfig.desiredSize'],
        // Two of one name cannot be.
        deleteBeforeReplace: true,
      }),
    );
  }

  #createTemplate(): aws.ec2.LaunchTemplate {
    const { identity, cluster, tier } = this.#args;
    return createLaunchTemplate(
      this.childName('machine'),
      {
        identity,
        machineName: `${cluster.name}-${tier.sku}`,
        disk: this.#disk(),
        tags: this.#tags(),
        userData: nodeConfigUserData({ usesInstanceStore: tier.disk === 'instance-store' }),
      },
      this.child(),
    );
  }

  #disk(): RootDisk {
    const { disk, diskGb } = this.#args.tier;
    if (disk === 'instance-store') return { sizeGb: systemDiskGb };
    return { sizeGb: diskGb, throughput: imageDiskThroughput };
  }

  #labels(): Record<string, string> {
    const accelerator = this.#accelerator;
    return {
      [skuLabel]: this.sku,
      ...(accelerator === undefined ? {} : { [acceleratorLabel]: accelerator }),
    };
  }

  #taints(): Record<string, string> {
    return { [modelsTaint]: 'true', ...(this.#accelerator === undefined ? {} : { [gpuResource]: 'true' }) };
  }

  #tags(): Record<string, string> {
    return { 'mimeo:tier': this.sku };
  }

  /**
   * Tags of a node group do not reach its autoscaling group, and a group without machines shows the autoscaler nothing
   * of what one would be like.
   * Source: kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/README.md, "Auto-Discovery Setup".
   */
  #tagAutoscalingGroup(): void {
    const { tier } = this.#args;
    const template = 'k8s.io/cluster-autoscaler/node-template';
    const options = `${template}/autoscaling-options`;
    const labels = Object.entries(this.#labels()).map(([key, value]) => [`${template}/label/${key}`, value]);
    const taints = Object.entries(this.#taints()).map(([key, value]) => [
      `${template}/taint/${key}`,
      `${value}:NoSchedule`,
    ]);
    const tags: Readonly<Record<string, string>> = {
      ...this.#tags(),
      ...Object.fromEntries([...labels, ...taints]),
      // So that no pod is promised what there is not.
      [`${template}/resources/ephemeral-storage`]: `${imageDiskGib(this.#args.tier)}Gi`,
      [`${options}/scaledownunneededtime`]: `${tier.scaleDownMinutes}m0s`,
    };
    for (const [key, value] of Object.entries(tags)) {
      new aws.autoscaling.Tag(
        this.childName(`tag-${roleOf(key)}`),
        {
          autoscalingGroupName: this.autoscalingGroupName,
          // Machines have their tags of the launch template.
          tag: { key, value, propagateAtLaunch: false },
        },
        this.child(),
      );
    }
  }
}

/** So many machines stand by stopped, with the images that they have pulled, however many run. */
function warmPoolOf(machines: number): aws.types.input.eks.NodeGroupWarmPoolConfig {
  return {
    minSize: machines,
    maxGroupPreparedCapacity: machines,
    poolState: 'STOPPED',
    reuseOnScaleIn: true,
  };
}

/** The last words of a tag's key, as a name: `…/label/mimeo.dev/sku` → label-mimeo-dev-sku. */
function roleOf(key: string): string {
  return key
    .replace(/^k8s\.io\/cluster-autoscaler\/node-template\//, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-');
}
