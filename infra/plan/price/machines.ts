import { instancePrice } from '../../aws/prices.ts';
import type { RecordedResource } from '../record.ts';
import type { Charge, Unpriced } from './cost-line.ts';
import type { ResourceGraph } from './graph.ts';
import { listAt, numberAt, textAt, valueAt } from './inputs.ts';
import { type Pricers, priceOf, standing } from './pricer.ts';

/** What a gp3 volume has without extra charge. Source: EBS user guide, "General Purpose SSD volumes". */
const gp3Free = { iops: 3000, throughputMbps: 125 } as const;
/** GB of a managed node group's volume where nothing is said. Source: EKS API, CreateNodegroup, diskSize. */
const defaultDiskGb = 20;

/** Kubernetes' control plane, machines and their disks. */
export const machinePricers: Pricers = {
  'aws:eks/cluster:Cluster': (cluster, graph) => [...controlPlane(cluster, graph)],
  'aws:eks/nodeGroup:NodeGroup': (group, graph) => [
    ...machines(group, graph),
    ...disks(group, graph),
    ...addresses(group, graph),
  ],
  'aws:ec2/capacityReservation:CapacityReservation': (reservation, graph) => {
    const type = textAt(reservation.inputs, 'instanceType') ?? '';
    const price = instancePrice(type, graph.region);
    const count = numberAt(reservation.inputs, 'instanceCount') ?? 1;
    return price ? [standing(`${type}, reserved`, price, count)] : [noPriceOf(type, graph)];
  },
};

function controlPlane(cluster: RecordedResource, graph: ResourceGraph): readonly (Charge | Unpriced)[] {
  const price = priceOf(graph, 'eks', 'control_plane_hour');
  const charges: (Charge | Unpriced)[] = [standing('Kubernetes control plane', price, 1)];
  if (textAt(cluster.inputs, 'upgradePolicy', 'supportType') !== 'STANDARD') {
    const extended = priceOf(graph, 'eks', 'control_plane_extended_support_hour');
    charges.push({
      ...standing('its extended support', { ...extended, usd: extended.usd - price.usd }, 0, 1),
      assumption: 'it is not upgraded before its version leaves standard support',
    });
  }
  const tier = textAt(cluster.inputs, 'controlPlaneScalingConfig', 'tier');
  if (tier !== undefined && tier !== 'standard') {
    charges.push({ unpriced: `no price is known of control-plane tier ${tier}` });
  }
  if (valueAt(cluster.inputs, 'computeConfig', 'enabled') === true) {
    charges.push({ unpriced: 'EKS Auto Mode takes a fee of each machine that it starts' });
  }
  return charges;
}

function machines(group: RecordedResource, graph: ResourceGraph): readonly (Charge | Unpriced)[] {
  const type = instanceTypeOf(group, graph);
  const isSpot = textAt(group.inputs, 'capacityType') === 'SPOT';
  const price = instancePrice(type, graph.region, isSpot ? 'spot' : 'on-demand');
  if (!price) return [noPriceOf(type, graph)];
  const { min, max } = sizeOf(group);
  const charge = standing(`${type}, ${isSpot ? 'spot' : 'on demand'}`, price, min, max);
  return [isSpot ? { ...charge, assumption: "spot's price moves: one day's is taken" } : charge];
}

function disks(group: RecordedResource, graph: ResourceGraph): readonly Charge[] {
  const { min, max, warm, isWarmRunning } = sizeOf(group);
  const volume = volumeOf(group, graph);
  const price = (item: string) => priceOf(graph, 'ebs', item);
  // Stopped machines keep their disks, and come on top of those that run.
  const idle = min + warm;
  const peak = max;
  const of = (what: string, unit: string, item: string, amount: number): Charge => ({
    what,
    unit,
    price: price(item),
    idle: idle * amount,
    peak: Math.max(idle, peak) * amount,
  });
  const charges = [
    of('disks', 'GB', 'gp3_gb_month', volume.gb),
    of(
      'disks, IOPS above 3,000',
      'IOPS',
      'gp3_iops_month_over_3000',
      Math.max(0, volume.iops - gp3Free.iops),
    ),
    of(
      'disks, MB/s above 125',
      'MB/s',
      'gp3_mbps_month_over_125',
      Math.max(0, volume.throughputMbps - gp3Free.throughputMbps),
    ),
  ];
  const running = instancePrice(instanceTypeOf(group, graph), graph.region);
  if (isWarmRunning && running) charges.push(standing('warm pool, running', running, warm));
  return charges;
}

function addresses(group: RecordedResource, graph: ResourceGraph): readonly Charge[] {
  const template = graph.relatedOf(group, 'aws:ec2/launchTemplate:LaunchTemplate')[0];
  const isPublic = valueAt(template?.inputs, 'networkInterfaces', 0, 'associatePublicIpAddress');
  if (isPublic === false || isPublic === 'false') return [];
  if (isPublic === undefined && !graph.hasPublicMachines) return [];
  const { min, max } = sizeOf(group);
  return [standing('public addresses of machines', priceOf(graph, 'public_ipv4', 'hour'), min, max)];
}

function sizeOf(group: RecordedResource) {
  const min = numberAt(group.inputs, 'scalingConfig', 'minSize') ?? 0;
  const max = numberAt(group.inputs, 'scalingConfig', 'maxSize') ?? min;
  const pool = valueAt(group.inputs, 'warmPoolConfig');
  const isOn = pool !== undefined && valueAt(pool, 'enabled') !== false;
  const warm = isOn ? (numberAt(pool, 'minSize') ?? 0) : 0;
  return { min, max, warm, isWarmRunning: textAt(pool, 'poolState') === 'RUNNING' };
}

function volumeOf(group: RecordedResource, graph: ResourceGraph) {
  const template = graph.relatedOf(group, 'aws:ec2/launchTemplate:LaunchTemplate')[0];
  const ebs = listAt(template?.inputs, 'blockDeviceMappings').map((one) => valueAt(one, 'ebs'))[0];
  return {
    gb: numberAt(ebs, 'volumeSize') ?? numberAt(group.inputs, 'diskSize') ?? defaultDiskGb,
    iops: numberAt(ebs, 'iops') ?? gp3Free.iops,
    throughputMbps: numberAt(ebs, 'throughput') ?? gp3Free.throughputMbps,
  };
}

function instanceTypeOf(group: RecordedResource, graph: ResourceGraph): string {
  const template = graph.relatedOf(group, 'aws:ec2/launchTemplate:LaunchTemplate')[0];
  return textAt(group.inputs, 'instanceTypes', 0) ?? textAt(template?.inputs, 'instanceType') ?? 't3.medium';
}

function noPriceOf(type: string, graph: ResourceGraph): Unpriced {
  return { unpriced: `infra/aws/prices.json has no price of ${type || 'its machines'} in ${graph.region}` };
}
