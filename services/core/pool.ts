import { z } from 'zod';
import type { Model } from './model.ts';
import { poolScalingSchema } from './scaling-settings.ts';
import type { Version } from './version.ts';

/** What a pool runs: enough for a fleet to start an instance of it, and no more. */
export const poolSchema = z.object({
  /** `owner/name:version@hardware` for a model's shared use. */
  id: z.string(),
  account: z.string(),
  model: z.string(),
  version: z.string(),
  hardware: z.string(),
  /** Predictions that one instance runs at once. */
  concurrency: z.int().positive(),
  streams: z.boolean(),
  /** The version's container image, `registry/repository@sha256:…`; absent where the version was made of a folder. */
  image: z.string().optional(),
  /** What its owner wants of its instances; absent where the platform decides, and wherever pools are stored. */
  scaling: poolScalingSchema.optional(),
});
export type Pool = z.infer<typeof poolSchema>;

/** The id of the pool that serves a version to everybody who may use the model. */
export function sharedPoolId(of: { model: string; version: string; hardware: string }): string {
  return `${of.model}:${of.version}@${of.hardware}`;
}

/** The pool that serves a version of a model on the model's hardware. */
export function sharedPool(model: Model, version: Version): Pool {
  const { hardware, account } = model;
  const name = `${model.owner}/${model.name}`;
  return {
    id: sharedPoolId({ model: name, version: version.id, hardware }),
    account,
    model: name,
    version: version.id,
    hardware,
    concurrency: version.concurrency,
    streams: version.streams,
    ...(version.image === undefined ? {} : { image: version.image }),
  };
}

/** Where an instance is on its way to serving. `node` and `image` pass unseen where instances are processes. */
export const instancePhases = ['node', 'image', 'weights', 'setup', 'ready', 'draining', 'failed'] as const;
export type InstancePhase = (typeof instancePhases)[number];

/** One running copy of a model, as its fleet sees it. Times are epoch ms. */
export const instanceSchema = z.object({
  id: z.string(),
  pool: z.string(),
  phase: z.enum(instancePhases),
  startedAt: z.number(),
  readyAt: z.number().nullable(),
  /** Jobs that it runs now. */
  running: z.int().nonnegative(),
  /** Since when it has nothing to do; null while it works or boots. */
  idleSince: z.number().nullable(),
  /** Why it failed, in a sentence; null otherwise. */
  failure: z
    .object({
      code: z.enum(['setup_failed', 'setup_timed_out', 'image_unavailable', 'platform_error']),
      message: z.string(),
    })
    .nullable(),
  /** What setup printed; kept for failed instances, capped. */
  setupLogs: z.string(),
  /** What it waits for while it starts, in a sentence; absent where its phase says all there is. */
  detail: z.string().optional(),
});
export type Instance = z.infer<typeof instanceSchema>;

const seconds = z.number().nonnegative();

/** Seconds that one start spent in each phase on its way to ready. */
export const bootSchema = z.object({ node: seconds, image: seconds, weights: seconds, setup: seconds });
export type Boot = z.infer<typeof bootSchema>;

/** What a pool was like when its director last looked; read for `waiting`, the breaker and `mimeo ps`. */
export const poolStateSchema = z.object({
  pool: z.string(),
  at: z.number(),
  desired: z.int().nonnegative(),
  /** Why that many, in words. */
  reason: z.string(),
  instances: z.array(instanceSchema),
  /** Set while setups keep failing: nothing is started until `until`. */
  breaker: z.object({ until: z.number(), message: z.string(), setupLogs: z.string() }).nullable(),
  /** Seconds that recent setups took, newest last. */
  setupSeconds: z.array(z.number()),
  /** The same by phases, of those that were seen from their start; absent from a director that does not tell. */
  boots: z.array(bootSchema).optional(),
  /** Epoch ms since when each starting instance is in its phase, by its id. */
  phaseSince: z.record(z.string(), z.number()).optional(),
});
export type PoolState = z.infer<typeof poolStateSchema>;
