import { hoursPerMonth, instancePrice, servicePrice } from './aws/prices.ts';
import { usualInstanceTypes } from './aws/usual-instance-types.ts';
import type { Settings, TierSettings } from './config-schema.ts';

/** GB of a system node's root volume. */
export const systemNodeDiskGb = 20;

/**
 * About what a month costs while nobody calls, in USD: what stands by the hour. The plan has it line by line; a test
 * keeps the two within a tenth of each other.
 */
export function standingMonthlyUsd(settings: Settings, region: string): number {
  const { network, cluster, api, tiers } = settings;
  const price = (service: string, item: string) => servicePrice(service, item, region).usd;
  const hourly = (type: string) => instancePrice(type, region)?.usd ?? 0;
  const zones = network.availabilityZones;
  const gateways = { none: 0, single: 1, 'one-per-az': zones }[network.nat];
  const systemNodes = cluster.systemNodes.min;
  const isOutside = network.nat === 'none';
  const addresses = zones + gateways + (isOutside ? systemNodes + api.min : 0);
  const tierHours = Object.entries(tiers).map(([sku, tier]) => tier.min * hourlyOf(sku, tier, region));
  const stopped = Object.values(tiers).reduce((sum, { warmPool, diskGb }) => sum + warmPool * diskGb, 0);
  const anHour = [
    price('eks', 'control_plane_hour'),
    gateways * price('nat_gateway', 'hour'),
    network.interfaceEndpoints.length * zones * price('vpc_endpoint_interface', 'hour_per_az'),
    addresses * price('public_ipv4', 'hour'),
    price('alb', 'hour'),
    systemNodes * hourly(cluster.systemNodes.instanceType),
    api.min * (api.cpu / 1024) * price('fargate', 'arm_vcpu_hour'),
    api.min * (api.memory / 1024) * price('fargate', 'arm_gb_hour'),
    price('elasticache_serverless_valkey', 'minimum_metered_gb') *
      price('elasticache_serverless_valkey', 'gb_hour'),
    ...tierHours,
  ].reduce((sum, usd) => sum + usd, 0);
  return anHour * hoursPerMonth + (systemNodes * systemNodeDiskGb + stopped) * price('ebs', 'gp3_gb_month');
}

/** USD an hour of one of a tier's machines; 0 where the region does not sell it, so that the tier is off. */
function hourlyOf(sku: string, { instanceTypes, capacity }: TierSettings, region: string): number {
  const type = instanceTypes?.[0] ?? usualInstanceTypes[sku]?.[0] ?? '';
  return instancePrice(type, region, capacity)?.usd ?? 0;
}
