import { z } from 'zod';
import { findInstanceType, instancePrice } from '../../infra/aws/prices.ts';
import { type Hardware, HardwareCatalogue } from '../../services/core/hardware.ts';
import { environmentVariablesOf } from '../environment-variables.ts';
import { instanceTypesOf, nodeGroupType, skuOf } from '../machines.ts';
import { type StackViolation, stackPolicy } from '../policy.ts';
import { at, type StackResource, textAt } from '../resource.ts';

/** The api's variable that replaces prices of the catalogue: JSON of micro-dollars per second by SKU. */
const pricesVariable = 'MIMEO_PRICES';

export const skuPrices = stackPolicy({
  name: 'sku-prices',
  description:
    'A SKU should be sold for at least what its second costs on AWS with all GPUs of a machine at work.',
  enforcement: 'advisory',
  check(resources) {
    const catalogue = new HardwareCatalogue(pricesOf(resources));
    return resources
      .filter(({ type }) => type === nodeGroupType)
      .flatMap((group) => {
        const hardware = catalogue.find(skuOf(group) ?? '');
        return hardware ? mistakes(group, hardware) : [];
      });
  },
});

function mistakes(group: StackResource, hardware: Hardware): readonly StackViolation[] {
  const region = textAt(group.provider?.props, 'region');
  const capacity = at(group.props, 'capacityType') === 'SPOT' ? 'spot' : 'on-demand';
  return instanceTypesOf(group).flatMap((name) => {
    const type = findInstanceType(name);
    const price = region === undefined ? undefined : instancePrice(name, region, capacity);
    if (!type || !price) return [];
    const share = hardware.gpu
      ? hardware.gpu.count / (type.gpu?.count ?? hardware.gpu.count)
      : Math.min(1, hardware.cpus / type.vcpus);
    const cost = (price.usd * share * 1e6) / 3600;
    if (hardware.microUsdPerSecond >= cost) return [];
    const message = `sells a second of ${hardware.sku} for ${hardware.microUsdPerSecond} micro-dollars, and ${name} costs ${Math.ceil(cost)} at full packing; raise prices.${hardware.sku}, or take another type`;
    return [{ resource: group, message }];
  });
}

function pricesOf(resources: readonly StackResource[]): Readonly<Record<string, number>> {
  const found = resources
    .flatMap(environmentVariablesOf)
    .find(({ name, value }) => name === pricesVariable && typeof value === 'string');
  if (typeof found?.value !== 'string') return {};
  return z.record(z.string(), z.number()).parse(JSON.parse(found.value));
}
