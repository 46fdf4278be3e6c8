import { defaultHardware } from '../services/core/hardware.ts';
import { autoscalerReleases } from './aws/kubernetes-versions.ts';
import { findInstanceType, instanceTypesOf, pricedRegions } from './aws/prices.ts';
import type { Settings, TierSettings } from './config-schema.ts';
import { standingMonthlyUsd } from './standing-cost.ts';

/** A mistake in the configuration. */
export interface ConfigMistake {
  /** Such as `tiers.gpu-t4.max`. */
  readonly path: string;
  /** What is there; undefined where nothing is. */
  readonly value: unknown;
  /** What is wanted there, with an example where one helps. */
  readonly rule: string;
}

/** Environments that may be served without TLS. */
const plainHttpEnvironments: readonly string[] = ['dev'];

/** Mistakes that no setting shows by itself. `region` is undefined where none is said. */
export function mistakesBetween(
  settings: Settings,
  environment: string,
  region: string | undefined,
): readonly ConfigMistake[] {
  const mistakes: ConfigMistake[] = [];
  const mistake = (path: string, value: unknown, rule: string) => mistakes.push({ path, value, rule });
  const { api, cluster, guardrails, network, images } = settings;

  for (const [sku, tier] of Object.entries(settings.tiers)) {
    for (const { path, value, rule } of tierMistakes(sku, tier, region))
      mistake(`tiers.${sku}${path}`, value, rule);
  }
  if (api.max < api.min) mistake('api.max', api.max, `takes at least api.min, ${api.min}`);
  if (!fargatePairs[api.cpu]?.(api.memory)) {
    mistake(
      'api.memory',
      api.memory,
      `Fargate has no task of ${api.cpu} CPU units with so many MiB; 512 goes with 256`,
    );
  }
  if (!(cluster.version in autoscalerReleases)) {
    const rule = `takes one of ${Object.keys(autoscalerReleases).join(', ')}`;
    mistake('cluster.version', cluster.version, rule);
  }
  const { systemNodes } = cluster;
  if (systemNodes.max < systemNodes.min) {
    mistake('cluster.systemNodes.max', systemNodes.max, `takes at least its min, ${systemNodes.min}`);
  }
  if (findInstanceType(systemNodes.instanceType)?.architecture !== 'arm64') {
    const rule = 'takes an arm64 type whose price is known, such as t4g.medium';
    mistake('cluster.systemNodes.instanceType', systemNodes.instanceType, rule);
  }
  if (cluster.endpoint === 'public' && cluster.endpointCidrs.length === 0) {
    mistake('cluster.endpointCidrs', [], 'takes who may reach a public endpoint, such as ["203.0.113.7/32"]');
  }
  for (const [at, block] of cluster.endpointCidrs.entries()) {
    if (block.endsWith('/0')) mistake(`cluster.endpointCidrs.${at}`, block, 'must not be everybody');
  }
  if (overlaps(network.cidr, serviceCidr)) {
    mistake(
      'network.cidr',
      network.cidr,
      `overlaps the cluster's services, ${serviceCidr}; take 10.40.0.0/16, say`,
    );
  }
  const bits = Number(network.cidr.split('/')[1]);
  if (bits < 16 || bits > 20) mistake('network.cidr', network.cidr, 'takes a block from /16 to /20');
  const isTls = api.certificateArn !== undefined || api.hostedZoneId !== undefined;
  if (isTls && api.domain === undefined) {
    mistake('api.domain', undefined, 'is needed with a certificate, such as mimeo.example.com');
  } else if (!isTls && !plainHttpEnvironments.includes(environment)) {
    const rule = 'is needed everywhere but in dev, with api.domain; or api.hostedZoneId, which makes one';
    mistake('api.certificateArn', undefined, rule);
  } else if (!isTls && api.allowedCidrs.some((block) => block.endsWith('/0'))) {
    const rule = 'takes known addresses while there is no TLS, such as ["203.0.113.7/32"]';
    mistake('api.allowedCidrs', api.allowedCidrs, rule);
  }
  for (const sku of [...Object.keys(guardrails.tierBudgetsUsd), ...Object.keys(settings.prices)]) {
    if (!isSku(sku))
      mistake(`${sku in settings.prices ? 'prices' : 'guardrails.tierBudgetsUsd'}.${sku}`, undefined, noSku);
  }
  const named = Object.values(images).filter((image) => image !== undefined).length;
  if (named > 0 && named < 3)
    mistake('images', images, 'takes all three of api, director and runner, or none');
  const budget = guardrails.monthlyBudgetUsd;
  if (budget === undefined) {
    mistake('guardrails.monthlyBudgetUsd', undefined, 'says what a month may cost, in dollars, such as 300');
  } else if (region !== undefined && pricedRegions.includes(region)) {
    const standing = Math.ceil(standingMonthlyUsd(settings, region));
    const rule = `is less than what this costs with nobody calling, about ${standing} a month (npx mimeo plan ${environment})`;
    if (budget < standing) mistake('guardrails.monthlyBudgetUsd', budget, rule);
  }
  return mistakes;
}

const noSku = `takes a SKU: ${defaultHardware.map(({ sku }) => sku).join(', ')}`;

function isSku(name: string): boolean {
  return defaultHardware.some(({ sku }) => sku === name);
}

function tierMistakes(sku: string, tier: TierSettings, region: string | undefined): readonly ConfigMistake[] {
  const hardware = defaultHardware.find((one) => one.sku === sku);
  if (!hardware) return [{ path: '', value: undefined, rule: noSku }];
  const mistakes: ConfigMistake[] = [];
  if (tier.max < tier.min)
    mistakes.push({ path: '.max', value: tier.max, rule: `takes at least its min, ${tier.min}` });
  if (tier.warmPool > 0 && tier.disk === 'instance-store') {
    const rule = 'needs disk: gp3, because a stopped machine loses its instance store, images and all';
    mistakes.push({ path: '.warmPool', value: tier.warmPool, rule });
  }
  if (tier.warmPool > tier.max) {
    mistakes.push({ path: '.warmPool', value: tier.warmPool, rule: `takes at most its max, ${tier.max}` });
  }
  if (tier.warmPool > 0 && tier.capacity === 'spot') {
    mistakes.push({ path: '.warmPool', value: tier.warmPool, rule: 'is not to be had of spot machines' });
  }
  const types = (tier.instanceTypes ?? []).map((name) => ({ name, type: findInstanceType(name) }));
  for (const [at, { name, type }] of types.entries()) {
    const path = `.instanceTypes.${at}`;
    const isSold =
      region === undefined || !pricedRegions.includes(region) || instanceTypesOf(region).includes(name);
    if (!type) {
      mistakes.push({
        path,
        value: name,
        rule: 'is no type that infra/aws/prices.json has, such as g4dn.xlarge',
      });
    } else if (!isSold) {
      mistakes.push({ path, value: name, rule: `is not sold in ${region}` });
    } else if (type.architecture !== 'amd64') {
      mistakes.push({ path, value: name, rule: "is arm64; models' images are amd64" });
    } else if (hardware.gpu && (type.gpu?.memoryGib ?? 0) < hardware.gpu.memoryGb) {
      const has = type.gpu ? `a GPU of ${type.gpu.memoryGib} GB` : 'no GPU';
      mistakes.push({ path, value: name, rule: `has ${has}; ${sku} promises ${hardware.gpu.memoryGb} GB` });
    } else if (tier.disk === 'instance-store' && type.instanceStoreGb === 0) {
      mistakes.push({ path, value: name, rule: 'has no instance store; take disk: gp3' });
    }
  }
  const shapes = new Set(
    types.map(({ type }) => JSON.stringify([type?.vcpus, type?.memoryGib, type?.gpu?.count])),
  );
  if (shapes.size > 1) {
    const rule = 'takes types of equal vCPUs, memory and GPUs: the autoscaler goes by the first';
    mistakes.push({ path: '.instanceTypes', value: tier.instanceTypes, rule });
  }
  return mistakes;
}

/** Addresses of Kubernetes services, which EKS is told to use. */
export const serviceCidr = '172.20.0.0/16';

/** MiB that Fargate takes with so many CPU units. Source: ECS, task definition parameters, "Task size". */
const fargatePairs: Readonly<Record<number, (memory: number) => boolean>> = {
  256: (memory) => [512, 1024, 2048].includes(memory),
  512: (memory) => isStep(memory, 1024, 4096),
  1024: (memory) => isStep(memory, 2048, 8192),
  2048: (memory) => isStep(memory, 4096, 16_384),
  4096: (memory) => isStep(memory, 8192, 30_720),
};

function isStep(memory: number, least: number, most: number): boolean {
  return memory >= least && memory <= most && memory % 1024 === 0;
}

/** Whether two CIDR blocks share an address. */
function overlaps(one: string, other: string): boolean {
  const [first, second] = [rangeOf(one), rangeOf(other)];
  return first.start < second.end && second.start < first.end;
}

function rangeOf(block: string): { readonly start: number; readonly end: number } {
  const [address = '', bits = '32'] = block.split('/');
  const size = 2 ** (32 - Number(bits));
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const start = Math.floor(number / size) * size;
  return { start, end: start + size };
}
