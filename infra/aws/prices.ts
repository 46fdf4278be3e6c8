import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** What AWS sells, where and for how much: prices.json, in which every figure names its source and date. */
const figureSchema = z.object({
  value: z.number(),
  unit: z.string(),
  source: z.string(),
  as_of: z.string().nullable(),
});

const saleSchema = z.object({
  /** null where the region does not sell it. */
  on_demand_usd_hour: z.number().nullable(),
  source: z.string(),
  as_of: z.string().nullish(),
  spot_usd_hour: z
    .object({ median_of_az: z.number(), source: z.string(), as_of: z.string().nullish() })
    .nullish(),
});

const instanceTypeSchema = z.object({
  vcpu: z.int(),
  memory_gib: z.number(),
  arch: z.enum(['amd64', 'arm64']),
  local_nvme_gb: z.number(),
  gpu: z.object({ model: z.string(), count: z.int(), memory_gib_each: z.number() }).nullable(),
  k8s_allocatable: z.object({ cpu: z.string(), memory: z.string(), pods: z.int() }),
  regions: z.record(z.string(), saleSchema),
});

const pricesSchema = z.object({
  _meta: z.object({ generated: z.string(), regions: z.array(z.string()), hours_per_month: z.number() }),
  ec2: z.record(z.string(), instanceTypeSchema),
  services: z.record(z.string(), z.record(z.string(), z.unknown())),
});

const prices = pricesSchema.parse(
  JSON.parse(readFileSync(new URL('./prices.json', import.meta.url), 'utf8')) as unknown,
);

/** AWS's own month: 730 hours. */
export const hoursPerMonth = prices._meta.hours_per_month;

/** Regions whose prices are known. */
export const pricedRegions: readonly string[] = prices._meta.regions;

/** One price with where it is from. */
export interface Price {
  /** USD for one `unit`. */
  readonly usd: number;
  readonly unit: string;
  readonly source: string;
  /** ISO date, or null where the source says none. */
  readonly asOf: string | null;
}

/** A type of EC2 instance. */
export interface InstanceType {
  readonly name: string;
  readonly vcpus: number;
  readonly memoryGib: number;
  readonly architecture: 'amd64' | 'arm64';
  /** Local NVMe disks in all, GB; 0 where it has none. */
  readonly instanceStoreGb: number;
  readonly gpu: { readonly model: string; readonly count: number; readonly memoryGib: number } | null;
  /** What Kubernetes leaves to pods, as quantities: `3920m`, `14481Mi`. */
  readonly allocatable: { readonly cpu: string; readonly memory: string };
}

/** An instance type by its name; undefined where prices.json does not have it. */
export function findInstanceType(name: string): InstanceType | undefined {
  const found = prices.ec2[name];
  if (!found) return undefined;
  const { gpu } = found;
  return {
    name,
    vcpus: found.vcpu,
    memoryGib: found.memory_gib,
    architecture: found.arch,
    instanceStoreGb: found.local_nvme_gb,
    gpu: gpu && { model: gpu.model, count: gpu.count, memoryGib: gpu.memory_gib_each },
    allocatable: { cpu: found.k8s_allocatable.cpu, memory: found.k8s_allocatable.memory },
  };
}

/** Names of all instance types that a region sells. */
export function instanceTypesOf(region: string): readonly string[] {
  return Object.keys(prices.ec2).filter((name) => instancePrice(name, region) !== undefined);
}

/** What an hour of an instance costs; undefined where the region does not sell it. */
export function instancePrice(
  name: string,
  region: string,
  capacity: 'on-demand' | 'spot' = 'on-demand',
): Price | undefined {
  const sale = prices.ec2[name]?.regions[region];
  if (!sale || sale.on_demand_usd_hour === null) return undefined;
  const unit = 'USD/instance-hour';
  if (capacity === 'on-demand') {
    return { usd: sale.on_demand_usd_hour, unit, source: sale.source, asOf: sale.as_of ?? null };
  }
  const { spot_usd_hour: spot } = sale;
  return spot ? { usd: spot.median_of_az, unit, source: spot.source, asOf: spot.as_of ?? null } : undefined;
}

/**
 * The price of something else, such as `('nat_gateway', 'hour', 'us-east-1')`, by its names in prices.json.
 * @throws Error where there is none
 */
export function servicePrice(service: string, item: string, region: string): Price {
  const byRegion = z.record(z.string(), z.unknown()).safeParse(prices.services[service]?.[item]);
  const figure = figureSchema.safeParse(byRegion.data?.[region] ?? byRegion.data);
  if (!figure.success)
    throw new Error(`infra/aws/prices.json has no price of ${service}.${item} in ${region}`);
  const { value: usd, unit, source, as_of: asOf } = figure.data;
  return { usd, unit, source, asOf };
}
