import { HardwareCatalogue } from '../../services/core/hardware.ts';
import { findInstanceType, instancePrice } from '../aws/prices.ts';
import { usualInstanceTypes } from '../aws/usual-instance-types.ts';
import type { StackConfig, TierConfig, TierOff } from '../config.ts';

const hoursPerDay = 24;
const secondsPerHour = 3600;
const microUsdPerUsd = 1e6;

/** What a tier's machines cost AWS's customer, beside what its users pay. GPU here is the whole machine where it has none. */
export interface TierMargin {
  readonly sku: string;
  /** For people, such as `Nvidia T4 GPU`. */
  readonly name: string;
  readonly instanceType: string;
  readonly capacity: TierConfig['capacity'];
  /** GPUs of a machine; 1 where it has none. */
  readonly gpus: number;
  /** Machines at least and at most. */
  readonly min: number;
  readonly max: number;
  /** What one machine costs an hour: what the first prediction on an idle tier starts. */
  readonly machineUsdPerHour: number;
  /** At full packing: all GPUs of a machine are busy. */
  readonly awsUsdPerGpuHour: number;
  readonly awsMicroUsdPerSecond: number;
  readonly priceMicroUsdPerSecond: number;
  readonly priceUsdPerHour: number;
  /** Part of the price that AWS does not take, at full packing, in per cent; negative where it takes more. */
  readonly marginPercent: number;
  /**
   * Busy hours a day of each GPU from which a machine that is always on costs less than its runs are priced; undefined
   * where there are none: the price is under what AWS takes.
   */
  readonly alwaysOnHoursPerDay: number | undefined;
  /** Where the machine's price was read, and when. */
  readonly source: string;
  readonly asOf: string | null;
}

/** A SKU that is off: why, and what it would be if it were on. */
export interface PlannedTierOff extends TierOff {
  /** Undefined where the region sells nothing that it runs on. */
  readonly would: TierMargin | undefined;
}

/** A line for each tier that is on, in the order of the catalogue. A machine without a known price has none. */
export function tierMargins(config: StackConfig): readonly TierMargin[] {
  return config.tiers
    .map(({ sku, instanceTypes, capacity, min, max }) =>
      marginOf(config, sku, instanceTypes, { capacity, min, max }),
    )
    .filter((margin) => margin !== undefined);
}

/** The SKUs that are off, with the machines that they usually run on. */
export function tiersThatAreOff(config: StackConfig): readonly PlannedTierOff[] {
  return config.tiersOff.map(({ sku, why }) => {
    const size = { capacity: 'on-demand', min: 0, max: 0 } as const;
    return { sku, why, would: marginOf(config, sku, usualInstanceTypes[sku] ?? [], size) };
  });
}

function marginOf(
  config: StackConfig,
  sku: string,
  [instanceType = '']: readonly string[],
  size: Pick<TierMargin, 'capacity' | 'min' | 'max'>,
): TierMargin | undefined {
  const machine = instancePrice(instanceType, config.region, size.capacity);
  const hardware = new HardwareCatalogue(config.prices).find(sku);
  if (!machine || !hardware) return undefined;
  const gpus = findInstanceType(instanceType)?.gpu?.count ?? 1;
  const { usd: machineUsdPerHour, source, asOf } = machine;
  return {
    sku,
    name: hardware.name,
    instanceType,
    gpus,
    ...size,
    machineUsdPerHour,
    ...compare(machineUsdPerHour / gpus, hardware.microUsdPerSecond),
    source,
    asOf,
  };
}

function compare(awsUsdPerGpuHour: number, priceMicroUsdPerSecond: number) {
  const priceUsdPerHour = (priceMicroUsdPerSecond * secondsPerHour) / microUsdPerUsd;
  const hours = priceUsdPerHour > 0 ? (hoursPerDay * awsUsdPerGpuHour) / priceUsdPerHour : Infinity;
  return {
    awsUsdPerGpuHour,
    awsMicroUsdPerSecond: (awsUsdPerGpuHour * microUsdPerUsd) / secondsPerHour,
    priceMicroUsdPerSecond,
    priceUsdPerHour,
    marginPercent: priceUsdPerHour > 0 ? (1 - awsUsdPerGpuHour / priceUsdPerHour) * 100 : -100,
    alwaysOnHoursPerDay: hours <= hoursPerDay ? hours : undefined,
  };
}

/** What must be said of a tier beside its figures; undefined where nothing must. */
export function tierNote(tier: TierMargin): string | undefined {
  if (tier.gpus > 1) {
    const machine = `$${tier.machineUsdPerHour.toFixed(2)}`;
    return `comes ${tier.gpus} GPUs at a time: one prediction on an idle tier starts a machine of ${machine} an hour`;
  }
  if (tier.alwaysOnHoursPerDay === undefined) return 'is priced under what AWS takes for it';
  if (tier.min > 0) return `has ${tier.min} always on, whether or not anybody calls`;
  return undefined;
}
