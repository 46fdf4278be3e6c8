import { z } from 'zod';

/** GPU memory that one instance of a version needs, GB, in sum over its GPUs. */
export const gpuMemoryGbSchema = z
  .number()
  .positive({ error: 'must be more than 0' })
  .max(100_000, { error: 'must be at most 100000' });

/** The label of an image that states `gpuMemoryGb`, as a plain decimal number. */
export const gpuMemoryLabel = 'dev.mimeo.gpu-memory-gb';

/** What a version is: a Cog model's code (or image) and the interface that it promised. Never changed, never rerouted. */
export const versionSchema = z.object({
  /** SHA-256 of the content, 64 hex digits. */
  id: z.string(),
  /** `owner/name` */
  model: z.string(),
  createdAt: z.number(),
  cogVersion: z.string(),
  openapiSchema: z.record(z.string(), z.json()),
  /** Predictions that one instance runs at once. */
  concurrency: z.int().positive(),
  /** Whether the output is an iterator, whose elements are shown as they come. */
  streams: z.boolean(),
  /** The container image, `registry/repository@sha256:…`; absent where the version was made of a folder. */
  image: z.string().optional(),
  /** What it says that it needs of GPU memory; absent where it says nothing: then any hardware may be tried. */
  gpuMemoryGb: gpuMemoryGbSchema.optional(),
  /** What would break callers of the version before it, a sentence each; absent where nothing would. */
  breakingChanges: z.array(z.string()).optional(),
});
export type Version = z.infer<typeof versionSchema>;

/**
 * A version made of pushed content, before it belongs to a model: the same content has the same id, and
 * `openapiSchema` is as Cog's own build would have written it.
 */
export interface BuiltVersion extends Pick<Version, 'id' | 'cogVersion' | 'openapiSchema' | 'concurrency'> {
  /** What of its cog.yaml cannot be honoured here, a sentence each. */
  readonly warnings: readonly string[];
  /** The README.md at the top of the folder, where there is one. */
  readonly readme?: string | null;
}

/** Whether a version's output is an iterator, by the schema that Cog writes for it. */
export function outputStreams(openapiSchema: Readonly<Record<string, unknown>>): boolean {
  return outputOf(openapiSchema)['x-cog-array-type'] === 'iterator';
}

/** Whether the elements of the output read as one text (`ConcatenateIterator`). */
export function outputConcatenates(openapiSchema: Readonly<Record<string, unknown>>): boolean {
  return outputOf(openapiSchema)['x-cog-array-display'] === 'concatenate';
}

function outputOf(openapiSchema: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return member(member(member(openapiSchema, 'components'), 'schemas'), 'Output');
}

function member(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return {};
  const found = (value as Record<string, unknown>)[name];
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {};
}
