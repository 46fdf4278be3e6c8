import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';

/** Where AWS says what the newest image of a kind is. Source: EKS user guide, "Retrieve recommended AMI IDs". */
const families = {
  AL2023_ARM_64_STANDARD: 'arm64/standard',
  AL2023_x86_64_STANDARD: 'x86_64/standard',
  AL2023_x86_64_NVIDIA: 'x86_64/nvidia',
} as const;

/** What a group of machines says of the image that they start from. */
export interface NodeImage {
  readonly amiType: keyof typeof families;
  /** Of Kubernetes. */
  readonly version: string;
  readonly releaseVersion: pulumi.Output<string>;
}

/**
 * The newest image of a kind, with the cluster's own Kubernetes. A group that does not say which would keep its first
 * one for good: each update of the stack brings machines the patches that AWS has published since, a machine at a time.
 */
export function newestNodeImage(
  amiType: NodeImage['amiType'],
  version: string,
  { parent }: Pick<pulumi.InvokeOutputOptions, 'parent'>,
): NodeImage {
  const name = `/aws/service/eks/optimized-ami/${version}/amazon-linux-2023/${families[amiType]}/recommended/release_version`;
  // All parameters count as secrets; this one is AWS's, and everybody's.
  const releaseVersion = pulumi.unsecret(aws.ssm.getParameterOutput({ name }, { parent }).value);
  return { amiType, version, releaseVersion };
}
