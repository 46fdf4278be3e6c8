import type { RecordedResource } from '../record.ts';
import { containerPricers } from './containers.ts';
import { type CostLine, linesOf, type NotPriced } from './cost-line.ts';
import { isFree } from './free.ts';
import { functionPricers } from './functions.ts';
import { ResourceGraph } from './graph.ts';
import { machinePricers } from './machines.ts';
import { networkPricers } from './network.ts';
import type { Pricers } from './pricer.ts';
import { storePricers } from './stores.ts';
import { watchingPricers } from './watching.ts';

export const pricers: Pricers = {
  ...machinePricers,
  ...networkPricers,
  ...containerPricers,
  ...storePricers,
  ...functionPricers,
  ...watchingPricers,
};

/** What a program's resources cost, and which of them nobody knows the price of. */
export interface Priced {
  readonly lines: readonly CostLine[];
  readonly notPriced: readonly NotPriced[];
}

/**
 * What resources cost a month. Components of awsx are priced by their inputs, unless the engine has made their insides:
 * then those are.
 * @param region taken where the program names none
 */
export function price(resources: readonly RecordedResource[], region?: string): Priced {
  const graph = new ResourceGraph(resources, region);
  const lines: CostLine[] = [];
  const notPriced: NotPriced[] = [];
  for (const resource of resources) {
    const { urn, type, name } = resource;
    const pricer = pricers[type];
    if (!pricer) {
      const isOwn = !resource.isCustom && !type.startsWith('awsx:');
      if (!isOwn && !isFree(type))
        notPriced.push({ resource: urn, type, name, why: 'no price is known of its kind' });
      continue;
    }
    for (const charge of pricer(resource, graph)) {
      if ('unpriced' in charge) notPriced.push({ resource: urn, type, name, why: charge.unpriced });
      else lines.push(...linesOf(charge, resource, graph.componentNameOf(resource)));
    }
  }
  return { lines, notPriced };
}

/** The lines of `price` alone. */
export function priceResources(resources: readonly RecordedResource[]): readonly CostLine[] {
  return price(resources).lines;
}

/** What a month costs in each state. */
export function monthlyUsd(lines: readonly CostLine[]): { readonly idle: number; readonly peak: number } {
  const sum = (state: CostLine['at']) =>
    lines.filter(({ at }) => at === state).reduce((total, line) => total + line.monthlyUsd, 0);
  return { idle: sum('idle'), peak: sum('peak') };
}
