import type { StackConfig } from '../config.ts';
import { tierMargins } from './margin.ts';

/** The machines of a tier, as a simulation takes them. */
export interface TierMachines {
  readonly sku: string;
  readonly instanceType: string;
  /** Instances of models that one machine holds: each has a GPU, or the machine where it has none. */
  readonly slots: number;
  readonly min: number;
  readonly max: number;
  /** Machines that stand by stopped. */
  readonly stopped: number;
  /** A machine with nothing to do is given back after this long. */
  readonly idleSeconds: number;
  readonly usdPerHour: number;
  /** Where the price was read, and when. */
  readonly source: string;
}

/** Of every tier that is on and has a known price, in the order of the catalogue. */
export function tierMachines(config: StackConfig): readonly TierMachines[] {
  return tierMargins(config).map((margin) => {
    const tier = config.tiers.find(({ sku }) => sku === margin.sku);
    const { sku, instanceType, gpus, min, max, machineUsdPerHour, source, asOf } = margin;
    return {
      sku,
      instanceType,
      slots: gpus,
      min,
      max,
      stopped: tier?.warmPool ?? 0,
      idleSeconds: (tier?.scaleDownMinutes ?? 0) * 60,
      usdPerHour: machineUsdPerHour,
      source: asOf === null ? source : `${source} (${asOf})`,
    };
  });
}
