import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';
import { costTags, type StackIdentity } from './component.ts';

/** The first disk of a machine. */
export interface RootDisk {
  readonly sizeGb: number;
  /** MB/s. @default 125, which costs nothing more */
  readonly throughput?: number;
  /** I/O operations a second. @default 3000, which cost nothing more */
  readonly iops?: number;
}

export interface LaunchTemplateArgs {
  readonly identity: StackIdentity;
  /** What the console of EC2 calls its machines. */
  readonly machineName: string;
  readonly disk: RootDisk;
  /** Beside the tags of the stack. */
  readonly tags?: Readonly<Record<string, string>>;
  /** As `nodeConfigUserData` makes it. */
  readonly userData?: string;
}

/**
 * What the machines of a node group are like: an encrypted gp3 disk, and a metadata endpoint that pods do not reach,
 * because its answers may cross no second hop.
 */
export function createLaunchTemplate(
  name: string,
  args: LaunchTemplateArgs,
  opts: pulumi.CustomResourceOptions,
): aws.ec2.LaunchTemplate {
  const { identity, machineName, disk, userData } = args;
  const tags = { ...costTags(identity), ...args.tags };
  return new aws.ec2.LaunchTemplate(
    name,
    {
      ...(userData === undefined ? {} : { userData }),
      // The root device of AL2023. Source: amazon-eks-ami, launch_block_device_mappings.
      blockDeviceMappings: [
        {
          deviceName: '/dev/xvda',
          ebs: {
            volumeType: 'gp3',
            volumeSize: disk.sizeGb,
            throughput: disk.throughput ?? 125,
            iops: disk.iops ?? 3000,
            encrypted: 'true',
            deleteOnTermination: 'true',
          },
        },
      ],
      metadataOptions: {
        httpEndpoint: 'enabled',
        httpTokens: 'required',
        httpPutResponseHopLimit: 1,
        instanceMetadataTags: 'disabled',
      },
      // EKS makes machines and volumes of it, which the provider's default tags do not reach.
      tagSpecifications: ['instance', 'volume', 'network-interface'].map((resourceType) => ({
        resourceType,
        tags: { ...tags, Name: machineName },
      })),
      tags,
      updateDefaultVersion: true,
    },
    opts,
  );
}

/** What nodeadm, which makes a machine of AL2023 a node, is told. */
export interface NodeConfig {
  /** Whether a machine's own NVMe disks are joined to one, on which images and pods lie. */
  readonly usesInstanceStore: boolean;
}

/**
 * User data that EKS merges with its own. Layers of an image are fetched and unpacked at the same time, which starts an
 * image of 9 GB after 40 s instead of 130 s; machines of less than 4 vCPUs or 7 GiB leave it alone.
 * Source: amazon-eks-ami, nodeadm/doc/api.md (FastImagePull, LocalStorageOptions).
 */
export function nodeConfigUserData({ usesInstanceStore }: NodeConfig): string {
  const config = [
    'apiVersion: node.eks.aws/v1alpha1',
    'kind: NodeConfig',
    'spec:',
    '  featureGates:',
    '    FastImagePull: true',
    ...(usesInstanceStore ? ['  instance:', '    localStorage:', '      strategy: RAID0'] : []),
  ];
  const boundary = 'MIMEO';
  const message = [
    'MIME-Version: 1.0',
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: application/node.eks.aws',
    '',
    ...config,
    '',
    `--${boundary}--`,
    '',
  ].join('\n');
  return Buffer.from(message).toString('base64');
}
