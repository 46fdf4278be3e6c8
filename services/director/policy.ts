import type { Pool } from '../core/pool.ts';
import { remember } from '../core/remembered.ts';
import type { ScalingPolicy } from '../core/scaling.ts';
import { policyOf } from '../core/scaling-settings.ts';

/** Pools with settings whose policy is kept until it changes: time zones take a while to be reckoned with. */
const rememberedPolicies = 5000;

/**
 * Gives what is wanted of each pool: its owner's settings over those of this director, whose limit of instances wins.
 * @param defaults what holds where an owner has said nothing
 */
export function createPolicies(defaults: ScalingPolicy): (pool: Pool, now: number) => ScalingPolicy {
  const kept = new Map<
    string,
    { readonly settings: string; readonly at: number; readonly policy: ScalingPolicy }
  >();
  return ({ id, scaling }, now) => {
    if (scaling === undefined) return defaults;
    const settings = JSON.stringify(scaling);
    const known = kept.get(id);
    if (known && known.settings === settings && isValid(known, now)) return known.policy;
    const policy = policyOf(defaults, scaling, now);
    remember(kept, id, { settings, at: now, policy }, rememberedPolicies);
    return policy;
  };
}

function isValid(
  { at, policy }: { readonly at: number; readonly policy: ScalingPolicy },
  now: number,
): boolean {
  return now >= at && now < (policy.changesAt ?? Number.POSITIVE_INFINITY);
}
