import { join } from 'node:path';
import type { TierMachines } from '../../../infra/plan/tier-machines.ts';
import { defaultPolicy, type ScalingPolicy } from '../../core/scaling.ts';
import { defaultTimes, type Times, type World } from '../../simulator/world.ts';
import { usageError } from '../failure.ts';

/** What an environment's configuration says that a simulation goes by. */
export interface SimulatedEnvironment {
  readonly environment: string;
  readonly region: string;
  readonly machines: TierMachines;
  readonly world: World;
  readonly policy: ScalingPolicy;
}

/** What is said beside the configuration; what is undefined is as that says, or as published. */
export interface Overrides {
  readonly sku?: string;
  readonly maxMachines?: number;
  readonly concurrency?: number;
  readonly min?: number;
  readonly buffer?: number;
  readonly idle?: number;
  readonly drain?: number;
  readonly times: Partial<Times>;
}

/**
 * Reads `Pulumi.<environment>.yaml` of this checkout.
 * @throws CliError for what a person has got wrong
 */
export async function readEnvironment(environment: string, over: Overrides): Promise<SimulatedEnvironment> {
  const [{ ConfigError }, { ConfigFileError, readStackConfig }, { tierMachines }] = await Promise.all([
    import('../../../infra/config.ts'),
    import('../../../infra/plan/read-config.ts'),
    import('../../../infra/plan/tier-machines.ts'),
  ]);
  try {
    const config = readStackConfig(environment, join(import.meta.dirname, '../../..'));
    const tier = chosenTier(environment, tierMachines(config), over.sku);
    const machines = { ...tier, max: over.maxMachines ?? tier.max };
    const { models, region } = config;
    const mostPlaces = machines.max * machines.slots;
    // Whoever asks for more machines than are configured means instances for them, too.
    const maxInstances =
      over.maxMachines === undefined ? Math.min(models.maxInstances, mostPlaces) : mostPlaces;
    const policy = {
      ...defaultPolicy,
      max: maxInstances,
      min: Math.min(over.min ?? defaultPolicy.min, maxInstances),
      buffer: over.buffer ?? defaultPolicy.buffer,
      idleSeconds: over.idle ?? models.idleSeconds,
      drainSeconds: over.drain ?? defaultPolicy.drainSeconds,
    };
    const times = { ...defaultTimes, ...over.times };
    const world = { times, machines, concurrency: over.concurrency ?? 1, maxInstances };
    return { environment, region, machines, world, policy };
  } catch (error) {
    if (error instanceof ConfigError || error instanceof ConfigFileError) throw usageError(error.message);
    throw error;
  }
}

/** @param sku default: the first with a GPU, else the first */
function chosenTier(environment: string, tiers: readonly TierMachines[], sku?: string): TierMachines {
  const chosen =
    sku === undefined
      ? (tiers.find((tier) => tier.sku.startsWith('gpu-')) ?? tiers[0])
      : tiers.find((tier) => tier.sku === sku);
  if (chosen) return chosen;
  const on = tiers.map((tier) => tier.sku).join(', ') || 'none';
  throw usageError(
    `Pulumi.${environment}.yaml has no tier ${sku ?? 'at all'} that is on: there are ${on}; "SKU: {max: 1}" under mimeo:tiers switches one on.`,
  );
}
