import { z } from 'zod';

/** What the command line reads of the API's answers; everything else in them is passed over. */
export const accountAnswer = z.looseObject({ username: z.string(), type: z.string() });

export const registryAnswer = z.looseObject({
  /** Whether the server builds versions from a folder or takes container images. */
  accepts: z.enum(['source', 'image']),
  max_source_bytes: z.number().optional(),
});
export type RegistryAnswer = z.infer<typeof registryAnswer>;

export const versionAnswer = z.looseObject({
  id: z.string(),
  created_at: z.string().optional(),
  cog_version: z.string().nullish(),
  openapi_schema: z.record(z.string(), z.unknown()).nullish(),
  /** What would break callers of the version before it, a sentence each. */
  breaking_changes: z.array(z.string()).nullish(),
});
export type VersionAnswer = z.infer<typeof versionAnswer>;

export const hardwareAnswer = z.array(
  z.looseObject({
    sku: z.string(),
    gpu: z.looseObject({ count: z.number(), memory_gb: z.number() }).nullable(),
  }),
);

export const modelAnswer = z.looseObject({
  owner: z.string(),
  name: z.string(),
  visibility: z.string().optional(),
  latest_version: versionAnswer.nullish(),
});

export const predictionAnswer = z.looseObject({
  id: z.string(),
  status: z.enum(['starting', 'processing', 'succeeded', 'failed', 'canceled', 'aborted']),
  output: z.unknown(),
  error: z.string().nullish(),
  /** Why it did not succeed: one of core's failure codes, or one that only a newer server knows. */
  code: z.string().nullish(),
  /** Who has to act for it to succeed next time. */
  fault: z.string().nullish(),
  /** Whether the same request may succeed if it is sent again. */
  retryable: z.boolean().nullish(),
  logs: z.string().nullish(),
  metrics: z.looseObject({ predict_time: z.number().optional() }).nullish(),
  cost: z.looseObject({ micro_usd: z.number().nullish(), sku: z.string().optional() }).nullish(),
  /** What a prediction that is `starting` waits for. */
  waiting: z
    .looseObject({
      phase: z.string(),
      position: z.number().nullish(),
      eta_seconds: z.looseObject({ p50: z.number().nullish() }).nullish(),
      reason: z.string().nullish(),
    })
    .nullish(),
  urls: z.looseObject({ stream: z.string().optional() }).optional(),
});
export type PredictionAnswer = z.infer<typeof predictionAnswer>;
export type Waiting = NonNullable<PredictionAnswer['waiting']>;

const failureAnswer = z.looseObject({ code: z.string(), message: z.string() }).nullable();

export const poolAnswer = z.looseObject({
  model: z.string(),
  version: z.string(),
  hardware: z.string(),
  queued: z.number(),
  running: z.number(),
  desired: z.number().nullable(),
  /** Why that many, in words; null where the director has not said yet. */
  reason: z.string().nullable(),
  breaker: z.looseObject({ until: z.string(), message: z.string() }).nullable(),
  instances: z.array(
    z.looseObject({
      id: z.string(),
      phase: z.string(),
      since: z.string(),
      running: z.number(),
      failure: failureAnswer,
      /** What it waits for while it starts, in a sentence. */
      detail: z.string().nullish(),
    }),
  ),
});
export type PoolAnswer = z.infer<typeof poolAnswer>;

export const setupLogsAnswer = z.looseObject({
  results: z.array(
    z.looseObject({
      version: z.string(),
      /** Null: the last setup that failed, whose instance is gone. */
      instance: z.string().nullable(),
      phase: z.string(),
      failure: failureAnswer,
      logs: z.string(),
    }),
  ),
});

export const problemAnswer = z.looseObject({
  title: z.string().optional(),
  detail: z.string().optional(),
  status: z.number().optional(),
  code: z.string().optional(),
});
export type ProblemAnswer = z.infer<typeof problemAnswer>;

/** One line of the answer to a push. */
export const pushLine = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('progress'), message: z.string() }),
  z.looseObject({ type: z.literal('warning'), message: z.string() }),
  z.looseObject({ type: z.literal('version'), created: z.boolean(), version: versionAnswer }),
  z.looseObject({ type: z.literal('problem'), problem: problemAnswer }),
]);
export type PushLine = z.infer<typeof pushLine>;

/** Whether a prediction will not change any more. */
export function hasEnded(prediction: PredictionAnswer): boolean {
  return prediction.status !== 'starting' && prediction.status !== 'processing';
}
