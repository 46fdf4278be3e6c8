import type { CostLine } from './price/cost-line.ts';
import { ResourceGraph } from './price/graph.ts';
import { monthlyUsd } from './price/index.ts';
import type { RecordedResource } from './record.ts';

/** A month's cost in both states, USD. */
export interface MonthlyUsd {
  readonly idle: number;
  readonly peak: number;
}

/** A resource that the stack would have. Its inputs are left out: some are secret. */
export interface PlannedResource {
  readonly urn: string;
  readonly type: string;
  /** Logical name. */
  readonly name: string;
  readonly parent: string | undefined;
  /** The component that it belongs to; `stack` where there is none. */
  readonly component: string;
  /** false for components, which are made of other resources. */
  readonly isCustom: boolean;
  readonly monthlyUsd: MonthlyUsd;
}

/** One concern of the platform: what it is made of and costs. */
export interface PlannedComponent {
  /** Such as `network`. */
  readonly name: string;
  /** Such as `Network`; empty for what hangs on the stack itself. */
  readonly noun: string;
  readonly resources: readonly PlannedResource[];
  readonly monthlyUsd: MonthlyUsd;
}

/** Resources with what each of them costs, in the order in which they were asked for. */
export function planResources(
  resources: readonly RecordedResource[],
  lines: readonly CostLine[],
): readonly PlannedResource[] {
  const graph = new ResourceGraph(resources);
  return resources.map((resource) => ({
    urn: resource.urn,
    type: resource.type,
    name: resource.name,
    parent: resource.parent,
    component: graph.componentNameOf(resource),
    isCustom: resource.isCustom,
    monthlyUsd: monthlyUsd(lines.filter((line) => line.resource === resource.urn)),
  }));
}

/** Resources by component, the dearest first; what costs nothing goes by name. */
export function componentsOf(resources: readonly PlannedResource[]): readonly PlannedComponent[] {
  const groups = Map.groupBy(resources, ({ component }) => component);
  const components = [...groups].map(([name, members]) => {
    const self = members.find((one) => one.name === name && one.type.startsWith('mimeo:'));
    const parts = members.filter((one) => one !== self && one.type !== 'pulumi:pulumi:Stack');
    return { name, noun: self?.type.split(':')[2] ?? '', resources: parts, monthlyUsd: sumOf(parts) };
  });
  return components
    .filter((one) => one.resources.length > 0)
    .sort((a, b) => b.monthlyUsd.peak - a.monthlyUsd.peak || a.name.localeCompare(b.name));
}

function sumOf(resources: readonly PlannedResource[]): MonthlyUsd {
  return {
    idle: resources.reduce((sum, one) => sum + one.monthlyUsd.idle, 0),
    peak: resources.reduce((sum, one) => sum + one.monthlyUsd.peak, 0),
  };
}
