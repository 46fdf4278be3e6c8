import { z } from 'zod';
import type { ScalingPolicy } from './scaling.ts';
import {
  findMistakes,
  type Minimum,
  mostInstances,
  scheduledMinimum,
  windowSchema,
} from './scheduled-minimum.ts';

const mostWindows = 10;
const count = z.int().min(0, { abort: true }).max(mostInstances, { abort: true });

/**
 * What the owner of a model wants of the instances that serve it, as the API shows it. What is absent is as the
 * platform has it. Lenient: what a newer release adds is passed over.
 */
export const scalingSettingsSchema = z.object({
  /** Instances of the latest version that are kept even when nothing is to be done. */
  min: count.optional(),
  /** Never more than this; the platform's own limit wins over it. */
  max: count.min(1).optional(),
  /** Instances that are kept free beside those that work, for as long as there is work. */
  buffer: count.optional(),
  /** Seconds without work after which an instance is stopped. */
  idle_seconds: z.int().min(1).max(86_400).optional(),
  /** Times in which more are kept; of those that overlap, the highest counts. */
  schedule: z.array(windowSchema).max(mostWindows).optional(),
});
export type ScalingSettings = z.infer<typeof scalingSettingsSchema>;

/** The settings as somebody gives them: unknown names, times that never come and a min above max are mistakes. */
export const givenScalingSettingsSchema = scalingSettingsSchema
  .extend({ schedule: z.array(windowSchema.strict()).max(mostWindows, { abort: true }).optional() })
  .strict()
  .superRefine(({ min = 0, max = mostInstances, schedule = [] }, context) => {
    const tooMany = `must not be above max (${max})`;
    if (min > max) context.addIssue({ code: 'custom', path: ['min'], message: tooMany });
    for (const [index, window] of schedule.entries()) {
      const path = ['schedule', index];
      if (window.min > max) context.addIssue({ code: 'custom', path: [...path, 'min'], message: tooMany });
      for (const { field, message } of findMistakes(window))
        context.addIssue({ code: 'custom', path: [...path, field], message });
    }
  });

/** Instances that are kept until a moment (epoch ms), because somebody asked for them to be warm by then. */
export const warmHoldSchema = z.object({ instances: count, until: z.number() });
export type WarmHold = z.infer<typeof warmHoldSchema>;

/** What a director is told of the scaling of one pool. */
export const poolScalingSchema = scalingSettingsSchema.extend({ warm: z.array(warmHoldSchema).optional() });
export type PoolScaling = z.infer<typeof poolScalingSchema>;

/**
 * Adds a hold to those that there are. Asking twice is asking once: of two holds that end at the same time the larger
 * one counts, and one that another outlasts with as many instances is forgotten.
 * @returns the longest first, at most one for each number of instances
 */
export function addHold(holds: readonly WarmHold[], hold: WarmHold, now: number): readonly WarmHold[] {
  const alive = [hold, ...holds].filter(({ until }) => until > now);
  alive.sort((a, b) => b.until - a.until || b.instances - a.instances);
  let most = 0;
  return alive.filter(({ instances }) => {
    if (instances <= most) return false;
    most = instances;
    return true;
  });
}

/** What holds ask for now. */
function heldMinimum(holds: readonly WarmHold[], now: number): Minimum {
  const alive = holds.filter(({ until }) => until > now);
  return {
    min: Math.max(0, ...alive.map(({ instances }) => instances)),
    changesAt: alive.length === 0 ? null : Math.min(...alive.map(({ until }) => until)),
  };
}

/** Whether a pool is to be looked at even when nobody uses it: it has, or may get, a minimum. */
export function keepsInstances({ min = 0, schedule = [], warm = [] }: PoolScaling): boolean {
  return min > 0 || schedule.length > 0 || warm.length > 0;
}

/** The settings as they hold for a pool of a version that is not the latest: nothing is kept of it. */
export function withoutMinimum({ max, buffer, idle_seconds }: PoolScaling): PoolScaling {
  return { max, buffer, idle_seconds };
}

/**
 * What is wanted of a pool: its owner's settings over those of the platform, whose `max` wins over everything.
 * @param now epoch ms
 */
export function policyOf(
  defaults: ScalingPolicy,
  scaling: PoolScaling | undefined,
  now: number,
): ScalingPolicy {
  if (scaling === undefined) return defaults;
  const scheduled = scheduledMinimum(scaling.schedule ?? [], now);
  const held = heldMinimum(scaling.warm ?? [], now);
  const max = Math.min(defaults.max, scaling.max ?? defaults.max);
  const changes = [scheduled.changesAt, held.changesAt].filter((at) => at !== null);
  return {
    ...defaults,
    max,
    min: Math.min(max, Math.max(defaults.min, scaling.min ?? 0, scheduled.min, held.min)),
    buffer: scaling.buffer ?? defaults.buffer,
    idleSeconds: scaling.idle_seconds ?? defaults.idleSeconds,
    changesAt: changes.length === 0 ? null : Math.min(...changes),
  };
}
