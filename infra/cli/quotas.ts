import { findInstanceType } from '../aws/prices.ts';
import { keptUnreserved, reservedConcurrency } from '../components/reserved-concurrency.ts';
import type { StackConfig } from '../config.ts';
import type { QuotaKey } from './account.ts';

/** One of AWS's limits, and what this environment would want of it. */
export interface QuotaNeed extends QuotaKey {
  readonly name: string;
  /** What it counts, such as vCPUs. */
  readonly unit: string;
  /** With everything at its max. */
  readonly amount: number;
  /** With less, something cannot work at all. */
  readonly least: number;
  /** What AWS is asked for where there is less than `amount`. */
  readonly askFor: number;
  /** Who wants how much, such as `gpu-t4 at most`. */
  readonly wantedBy: string;
  /** How to do without. */
  readonly instead?: string;
}

interface Quota {
  readonly code: string;
  readonly name: string;
  readonly family: RegExp;
  readonly capacity: 'on-demand' | 'spot';
}

/** Source: Amazon EC2 User Guide, "On-Demand Instance quotas" and "Spot Instance quotas" (stored copies read 2026-11-21). */
const quotas: readonly Quota[] = [
  quota('L-DB2E81BA', 'Running On-Demand G and VT instances', /^(g|vt)\d/, 'on-demand'),
  quota('L-417A185B', 'Running On-Demand P instances', /^p\d/, 'on-demand'),
  quota('L-1216C47A', 'Running On-Demand Standard instances', /^[acdhimrtz]\d/, 'on-demand'),
  quota('L-3819A6DF', 'All G and VT Spot Instance Requests', /^(g|vt)\d/, 'spot'),
  quota('L-C4BD4855', 'All P5 Spot Instance Requests', /^p5/, 'spot'),
  quota('L-7212CCBC', 'All P4, P3 and P2 Spot Instance Requests', /^p[234]/, 'spot'),
  quota('L-34B43A08', 'All Standard Spot Instance Requests', /^[acdhimrtz]\d/, 'spot'),
];

function quota(code: string, name: string, family: RegExp, capacity: Quota['capacity']): Quota {
  return { code, name, family, capacity };
}

/** What an environment wants of each limit; those that it does not draw on are left out. */
export function quotasNeeded(config: StackConfig): readonly QuotaNeed[] {
  const { functions } = config;
  return [
    ...machineQuotas(config),
    ...(functions.reserveConcurrency ? [functionQuota()] : []),
    ...networkQuotas(config),
  ];
}

/** What AWS grants as a matter of course, and a request below it is refused. New accounts begin with 10. */
const usualConcurrency = 1000;

/** Source: Lambda, "Lambda quotas", and Service Quotas (read 2026-11-21). */
function functionQuota(): QuotaNeed {
  const reserved = Object.values(reservedConcurrency).reduce((sum, calls) => sum + calls, 0);
  const amount = reserved + keptUnreserved;
  return {
    service: 'lambda',
    code: 'L-B99A9384',
    name: 'Concurrent executions',
    unit: 'calls at a time',
    amount,
    // Lambda refuses to make a function whose reservation there is no room for.
    least: amount,
    askFor: Math.max(amount, usualConcurrency),
    wantedBy: `functions reserve ${reserved}, and AWS keeps ${keptUnreserved} for others`,
    instead: 'mimeo:functions: { reserveConcurrency: false }',
  };
}

/** How many of each Service Quotas grants at first. */
const usualNetworkQuota = 5;

/**
 * Of a region, and small: what the account has there already counts as well, which is for the person to look at. Source:
 * Amazon VPC, "Amazon VPC quotas", and Service Quotas (read 2026-11-21).
 */
function networkQuotas({ network }: StackConfig): readonly QuotaNeed[] {
  const addresses = { none: 0, single: 1, 'one-per-az': network.availabilityZones }[network.nat];
  const gateways = addresses === 1 ? 'its NAT gateway wants' : 'its NAT gateways want';
  const others = (noun: string) => `beside ${noun} that the account has already`;
  return [
    networkQuota('vpc', 'L-F678F1CE', 'VPCs per Region', 'VPCs', 1, `${others('those')}, this stack wants`),
    ...(addresses === 0
      ? []
      : [
          networkQuota(
            'ec2',
            'L-0263D0A3',
            'EC2-VPC Elastic IPs',
            'addresses',
            addresses,
            `${others('those')}, ${gateways}`,
          ),
        ]),
  ];
}

function networkQuota(
  service: string,
  code: string,
  name: string,
  unit: string,
  amount: number,
  wantedBy: string,
): QuotaNeed {
  // Without one of them there is no network.
  return {
    service,
    code,
    name,
    unit,
    amount,
    least: amount,
    askFor: Math.max(amount, usualNetworkQuota),
    wantedBy,
  };
}

function machineQuotas({ tiers, cluster }: StackConfig): readonly QuotaNeed[] {
  const { instanceType, max } = cluster.systemNodes;
  const groups = [
    { name: 'system nodes', instanceTypes: [instanceType], max, capacity: 'on-demand' },
    ...tiers.map((tier) => ({ ...tier, name: tier.sku })),
  ];
  return quotas.flatMap(({ code, name, family, capacity }) => {
    const drawing = groups
      .filter((group) => group.capacity === capacity && family.test(group.instanceTypes[0] ?? ''))
      .map((group) => ({ ...group, each: findInstanceType(group.instanceTypes[0] ?? '')?.vcpus ?? 0 }));
    if (drawing.length === 0) return [];
    const amount = drawing.reduce((sum, group) => sum + group.max * group.each, 0);
    return [
      {
        service: 'ec2',
        code,
        name,
        unit: 'vCPUs',
        amount,
        // Of the largest single machine: with fewer, a tier can start nothing.
        least: Math.max(...drawing.map(({ each }) => each)),
        askFor: amount,
        wantedBy: `${drawing.map((group) => group.name).join(', ')} at most`,
      },
    ];
  });
}
