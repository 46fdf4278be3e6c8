import { defaultHardware } from '../../services/core/hardware.ts';
import type { Machines } from '../../services/director/env.ts';
import type { TierConfig } from '../config.ts';
import { findInstanceType, type InstanceType } from './prices.ts';

/**
 * What Kubernetes leaves to pods of a machine is in prices.json, by this arithmetic: of its memory, 7.5 % go to the
 * hypervisor and the kernel; of the rest the kubelet keeps 255 MiB and 11 MiB for each pod that the machine takes, and
 * evicts below 100 MiB; of its cores it keeps 6 % of the first, 1 % of the second, 0.5 % of the next two and 0.25 % of
 * the others.
 * Source: amazon-eks-ami, nodeadm/internal/kubelet/config.go; karpenter-provider-aws, website reference/instance-types.md.
 */
const keptForDaemons = {
  // Of each machine, for the pods that run on all: aws-node 50m, kube-proxy 100m, the identity agent and node monitoring
  // (none or 10m), the GPUs' plugin 20m; the rest is room for add-ons that AWS changes.
  cpuMillis: 250,
  // Those ask for little memory and use it all the same; the GPUs' plugin may use 256 MiB.
  memoryMib: 512,
};

/** The part of a disk that a kubelet leaves to images and pods; it evicts them when a tenth is left. */
const usableShare = 0.85;
/** Of that, what pods may write; the rest is for images, of which a machine holds several. */
const writableShare = 0.4;

/** GiB that images and pods of one machine may fill together, by the least of a tier's types. */
export function imageDiskGib({ disk, diskGb, instanceTypes }: TierConfig): number {
  if (disk === 'gp3') return Math.floor(diskGb * usableShare);
  const sizes = instanceTypes.map((type) => findInstanceType(type)?.instanceStoreGb ?? 0);
  return Math.floor(((Math.min(...sizes) * 1e9) / 2 ** 30) * usableShare);
}

/** GPUs of one machine of a tier. */
export function gpusOf(tier: TierConfig): number {
  return findInstanceType(tier.instanceTypes[0] ?? '')?.gpu?.count ?? 0;
}

/** Instances that one machine of a tier holds: one a GPU, or as many as its vCPUs promise. */
export function instancesPerMachine(tier: TierConfig): number {
  const hardware = defaultHardware.find(({ sku }) => sku === tier.sku);
  const type = findInstanceType(tier.instanceTypes[0] ?? '');
  if (hardware?.gpu) return gpusOf(tier);
  return Math.max(1, Math.floor((type?.vcpus ?? 0) / (hardware?.cpus ?? 1)));
}

/**
 * What one instance may take of a machine, by SKU: an equal part of what every type of the tier leaves, so that as many as
 * `instancesPerMachine` fit on each.
 * @throws Error where prices.json lacks a type
 */
export function machinesOf(tiers: readonly TierConfig[]): Machines {
  return Object.fromEntries(tiers.map((tier) => [tier.sku, shareOf(tier)]));
}

function shareOf(tier: TierConfig): Machines[string] {
  const parts = instancesPerMachine(tier);
  const types = tier.instanceTypes.map(typeOf);
  const least = (amount: (type: InstanceType) => number) => Math.min(...types.map(amount));
  return {
    cpuMillis: Math.floor(least(cpuMillis) / parts),
    memoryMib: Math.floor(least(memoryMib) / parts),
    ephemeralMib: Math.floor((imageDiskGib(tier) * 1024 * writableShare) / parts),
    gpus: gpusOf(tier) > 0 ? 1 : 0,
  };
}

function typeOf(name: string): InstanceType {
  const type = findInstanceType(name);
  if (!type) throw new Error(`infra/aws/prices.json has no ${name}`);
  return type;
}

function cpuMillis({ allocatable }: InstanceType): number {
  return amountOf(allocatable.cpu, 'm') - keptForDaemons.cpuMillis;
}

function memoryMib({ allocatable }: InstanceType): number {
  return amountOf(allocatable.memory, 'Mi') - keptForDaemons.memoryMib;
}

function amountOf(quantity: string, unit: string): number {
  const amount = Number(quantity.endsWith(unit) ? quantity.slice(0, -unit.length) : Number.NaN);
  if (!Number.isFinite(amount))
    throw new Error(`infra/aws/prices.json has ${quantity} where it takes …${unit}`);
  return amount;
}
