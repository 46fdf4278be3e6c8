import { z } from '@hono/zod-openapi';
import { failureCodes, problemKinds } from '../core/errors.ts';
import { jobStatuses } from '../core/job.ts';
import { nameSchema } from '../core/model.ts';
import { givenScalingSettingsSchema, scalingSettingsSchema } from '../core/scaling-settings.ts';
import { maxWebhookUrlLength, webhookEvents } from '../core/webhook.ts';

/** The bodies of the public API, from which routes, types and the OpenAPI document are made. */

const json = z.unknown().openapi({ description: 'Any JSON value' });
const time = z.string().openapi({ example: '2026-11-21T09:30:00.123000Z', description: 'ISO 8601, UTC' });
const url = z.string();

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(problemKinds) as [string, ...string[]]),
  })
  .openapi('Problem');

export const waitingSchema = z
  .object({
    phase: z.enum(['queued', 'node', 'image', 'weights', 'setup']),
    position: z.int().openapi({ description: 'Its place in the queue, 1 for the next; approximate' }),
    eta_seconds: z.object({ p50: z.number(), p90: z.number() }).nullable(),
    reason: z.string().optional().openapi({
      description: 'What the instance that it waits for waits for itself, in a sentence',
    }),
  })
  .openapi('Waiting');

export const predictionSchema = z
  .object({
    id: z.string(),
    model: z.string(),
    version: z.string(),
    deployment: z.string().optional(),
    input: z.record(z.string(), json),
    output: json,
    logs: z.string(),
    error: z.string().nullable(),
    status: z.enum(jobStatuses),
    source: z.enum(['api', 'web']),
    data_removed: z.boolean(),
    omitted: z
      .array(z.enum(['input', 'output', 'logs']))
      .optional()
      .openapi({
        description: 'In a webhook: what is empty because it is too large for one; `urls.get` has it',
      }),
    created_at: time,
    started_at: time.nullable(),
    completed_at: time.nullable(),
    metrics: z.record(z.string(), json),
    urls: z.object({ get: url, cancel: url, stream: url.optional() }),
    waiting: waitingSchema.optional(),
    code: z.enum(failureCodes).optional(),
    fault: z.enum(['input', 'model', 'platform', 'capacity', 'budget', 'user']).optional(),
    retryable: z.boolean().optional(),
    cost: z.object({
      sku: z.string(),
      micro_usd_per_second: z.int(),
      billed_seconds: z.number().nullable(),
      micro_usd: z.int().nullable(),
    }),
  })
  .openapi('Prediction');
export type PredictionBody = z.infer<typeof predictionSchema>;

export const versionBodySchema = z
  .object({
    id: z.string(),
    created_at: time,
    cog_version: z.string(),
    openapi_schema: z.record(z.string(), json),
    gpu_memory_gb: z.number().optional().openapi({
      description: 'GPU memory that one instance needs, GB; absent where the version does not say',
    }),
    breaking_changes: z.array(z.string()).optional().openapi({
      description:
        'What would break callers of the version before it, a sentence each; absent where nothing would',
    }),
  })
  .openapi('Version');
export type VersionBody = z.infer<typeof versionBodySchema>;

export const modelBodySchema = z
  .object({
    url,
    owner: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    visibility: z.enum(['public', 'private']),
    hardware: z.string(),
    github_url: z.string().nullable(),
    paper_url: z.string().nullable(),
    license_url: z.string().nullable(),
    weights_url: z.string().nullable(),
    run_count: z.int(),
    cover_image_url: z.string().nullable(),
    // `.nullable()` would make every Version nullable in the document.
    default_example: z.union([predictionSchema, z.null()]),
    latest_version: z.union([versionBodySchema, z.null()]),
    is_official: z.boolean(),
    scaling: z
      .union([scalingSettingsSchema, z.null()])
      .optional()
      .openapi({ description: 'What is wanted of its instances; told to its owner alone, of one model' }),
  })
  .openapi('Model');
export type ModelBody = z.infer<typeof modelBodySchema>;

export const hardwareBodySchema = z
  .object({
    name: z.string(),
    sku: z.string(),
    gpu: z.object({ model: z.string(), count: z.int(), memory_gb: z.int() }).nullable(),
    cpus: z.int(),
    memory_gb: z.int(),
    best_for: z.string(),
    price: z.object({
      micro_usd_per_second: z.int(),
      usd_per_second: z.number(),
      usd_per_hour: z.number(),
    }),
  })
  .openapi('Hardware');

export const accountBodySchema = z
  .object({
    type: z.enum(['user', 'organization']),
    username: z.string(),
    name: z.string(),
    github_url: z.string().nullable(),
    avatar_url: z.string().nullable(),
  })
  .openapi('Account');

/** A page of a list; `next` is a whole URL. */
export function pageOf<T extends z.ZodType>(schema: T) {
  return z.object({ next: z.string().nullable(), previous: z.string().nullable(), results: z.array(schema) });
}

/** Deepest nesting of an input; Cog's own server reads no more than 128 levels. */
const maxInputDepth = 100;

// It was parsed from JSON, so only what JavaScript reads and a model's server does not is left to be checked.
const input = z
  .record(z.string(), z.unknown())
  .refine((value) => !isDeeperThan(value, maxInputDepth), {
    error: `may be nested ${maxInputDepth} levels deep, not more`,
    abort: true,
  })
  .superRefine((value, context) => {
    const unreadable = findUnreadable(value);
    if (unreadable) context.addIssue({ code: 'custom', ...unreadable });
  })
  .openapi({ type: 'object', additionalProperties: true });

/** Body of a prediction on a model, whose latest version is taken. */
export const predictionRequestSchema = z.object({
  input,
  webhook: z
    .string()
    .max(maxWebhookUrlLength)
    .nullish()
    .openapi({ description: 'Where its events are posted, signed as Standard Webhooks wants it' }),
  webhook_events_filter: z
    .array(z.enum(webhookEvents))
    .min(1, { error: 'must name an event; leave it out for all of them' })
    .nullish()
    .openapi({ description: 'Which events; all of them where it is left out' }),
  stream: z
    .boolean()
    .optional()
    .openapi({ description: 'Accepted and ignored: versions that stream always do' }),
});

/** Body of a prediction on a version. */
export const versionPredictionRequestSchema = predictionRequestSchema.extend({
  version: z.string().openapi({ description: 'A version id, `owner/name:id` or `owner/name`' }),
});

const link = z
  .url({ protocol: /^https?$/ })
  .nullable()
  .optional();

export const modelRequestSchema = z.object({
  owner: nameSchema,
  name: nameSchema,
  visibility: z.enum(['public', 'private']),
  hardware: z.string(),
  description: z.string().max(10_000).nullable().optional(),
  github_url: link,
  paper_url: link,
  license_url: link,
  cover_image_url: link,
});

/** Longest readme, bytes of UTF-8: it is one item of the Table. */
export const maxReadmeBytes = 256 * 1024;

/** Null takes a value away; what is left out stays as it is. */
export const modelUpdateSchema = z.object({
  description: z.string().max(10_000).nullable().optional(),
  readme: z
    .string()
    .refine((text) => Buffer.byteLength(text) <= maxReadmeBytes, {
      error: `may have ${maxReadmeBytes / 1024} KiB`,
    })
    .nullable()
    .optional(),
  github_url: link,
  paper_url: link,
  weights_url: link,
  license_url: link,
  scaling: givenScalingSettingsSchema
    .nullable()
    .optional()
    .openapi({
      description:
        'What is wanted of its instances, replaced as a whole. `schedule` keeps `min` instances from each time that ' +
        '`start` names to the next that `end` names: cron expressions of five fields, by the clock of `timezone`',
    }),
  hardware: z.string().optional().openapi({
    description: 'What predictions that are created from now on run on; it must hold the latest version',
  }),
});

/** Body that makes a prediction an example of its model. */
export const exampleRequestSchema = z.object({
  prediction: z.string().openapi({ description: 'Id of a prediction of yours that has succeeded' }),
});

/** Text with half of a surrogate pair, which other languages refuse, or a number too large to be one, as 1e999. */
function findUnreadable(value: unknown): { path: string[]; message: string } | undefined {
  if (typeof value === 'string' && !value.isWellFormed())
    return { path: [], message: 'must be valid Unicode; it has half of a surrogate pair' };
  if (typeof value === 'number' && !Number.isFinite(value))
    return { path: [], message: 'is too large for a number' };
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, member] of Object.entries(value)) {
    const found = findUnreadable(name) ?? findUnreadable(member);
    if (found) return { ...found, path: [name, ...found.path] };
  }
  return undefined;
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeperThan(member, levels - 1));
}
