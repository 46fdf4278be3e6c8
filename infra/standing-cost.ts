import { hoursPerMonth, instancePrice, servicePrice } from './aws/prices.ts';
import type { Settings } from './config-schema.ts';

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
  const tierHours = Object.values(tiers).map(
    ({ min, instanceTypes }) => min * hourly(instanceTypes?.[0] ?? ''),
  );
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
  return anHour * hoursPerMonth + systemNodes * systemNodeDiskGb * price('ebs', 'gp3_gb_month');
}
