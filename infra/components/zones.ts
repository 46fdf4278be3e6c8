import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';
import type { StackConfig } from '../config.ts';

/**
 * Zones, by the ids that they have in every account, in which EKS takes no subnet for its control plane. Their names
 * differ: in older accounts any of us-east-1a, b and c may be one.
 * Source: EKS user guide, "Amazon EKS networking requirements for VPC and subnets".
 */
const zonesWithoutEks: readonly string[] = ['use1-az3', 'usw1-az2', 'cac1-az3'];

/**
 * The zones that the network spans: those that are named, or else the region's first ones that EKS takes. Whether one of
 * them is in trouble just now does not matter: subnets do not move.
 * @throws Error where the region has too few of them
 */
export async function zonesOf(
  { zones, availabilityZones }: StackConfig['network'],
  opts: pulumi.InvokeOptions,
): Promise<readonly string[]> {
  if (zones.length > 0) return zones;
  const { names } = await aws.getAvailabilityZones(
    {
      excludeZoneIds: [...zonesWithoutEks],
      // Without Local Zones, which an account may have asked for.
      filters: [{ name: 'opt-in-status', values: ['opt-in-not-required'] }],
    },
    opts,
  );
  if (names.length < availabilityZones) {
    throw new Error(
      `network.availabilityZones is ${availabilityZones}: this region has ${names.length} that EKS takes (${names.join(', ')})`,
    );
  }
  return names.toSorted().slice(0, availabilityZones);
}
