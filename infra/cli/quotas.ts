import { findInstanceType } from '../aws/prices.ts';
import type { StackConfig } from '../config.ts';

/** One of EC2's limits on virtual CPUs, and what this environment would want of it. */
export interface QuotaNeed {
  /** Such as L-DB2E81BA. */
  readonly code: string;
  readonly name: string;
  /** vCPUs with every tier at its max. */
  readonly vcpus: number;
  /** vCPUs of the largest single machine: with fewer, a tier can start nothing. */
  readonly leastVcpus: number;
  /** SKUs whose tiers draw on it, and `system nodes`. */
  readonly wantedBy: readonly string[];
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
export function quotasNeeded({ tiers, cluster }: StackConfig): readonly QuotaNeed[] {
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
    return [
      {
        code,
        name,
        vcpus: drawing.reduce((sum, group) => sum + group.max * group.each, 0),
        leastVcpus: Math.max(...drawing.map(({ each }) => each)),
        wantedBy: drawing.map((group) => group.name),
      },
    ];
  });
}
