import type { RecordedResource } from '../infra/plan/record.ts';
import { notKnown, type StackResource } from './resource.ts';

/** What a month costs, in USD: with nobody calling, and with everything at its configured maximum. */
export interface MonthlyUsd {
  readonly idle: number;
  readonly peak: number;
}

/** Prices a stack's resources; the plan's own reckoning, so that plan and policies agree. */
export interface Pricing<Line = unknown> {
  /** Lines of cost. What awsx's components hold is priced once, be its children there or not. */
  priceResources(resources: readonly RecordedResource[]): readonly Line[];
  monthlyUsd(lines: readonly Line[]): MonthlyUsd;
}

/** What a month of a stack costs. */
export type MonthlyCost = (resources: readonly StackResource[]) => MonthlyUsd;

/** The cost of a stack by a pricing. What a preview does not know is left out: prices go by literal inputs. */
export function costBy<Line>({ priceResources, monthlyUsd }: Pricing<Line>): MonthlyCost {
  return (resources) => monthlyUsd(priceResources(resources.map(recorded)));
}

function recorded(resource: StackResource): RecordedResource {
  const props = known(resource.props) as RecordedResource['inputs'];
  return {
    urn: resource.urn,
    type: resource.type,
    name: resource.name,
    parent: resource.parent?.urn,
    isCustom: !isComponent(resource.type),
    inputs: props,
    outputs: props,
    dependencies: resource.dependencies.map(({ urn }) => urn),
    ignoreChanges: [],
    isProtected: resource.isProtected,
    retainsOnDelete: false,
    provider: resource.provider?.urn ?? '',
  };
}

/** Components of ours, of awsx and the stack itself; a type of a provider's has `package:module/resource:Resource`. */
function isComponent(type: string): boolean {
  return type.startsWith('awsx:') || type.startsWith('mimeo:') || type === 'pulumi:pulumi:Stack';
}

function known(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== notKnown).map(known);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== notKnown);
  return Object.fromEntries(entries.map(([key, item]) => [key, known(item)]));
}
