import { z } from 'zod';

const namePattern = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;

/** A model's or owner's name: lower-case letters, digits, `.`, `_` and `-`, 1 to 63, as in a container registry. */
export const nameSchema = z.string().regex(namePattern, {
  error:
    'must be 1 to 63 lower-case letters, digits, dots, dashes or underscores, and begin and end with a letter or digit',
});

/** A model as it is stored. */
export const modelSchema = z.object({
  owner: z.string(),
  name: z.string(),
  /** The account that owns it. */
  account: z.string(),
  visibility: z.enum(['public', 'private']),
  /** SKU that predictions of the model run on. */
  hardware: z.string(),
  description: z.string().nullable(),
  githubUrl: z.string().nullable(),
  paperUrl: z.string().nullable(),
  licenseUrl: z.string().nullable(),
  coverImageUrl: z.string().nullable(),
  /** Absent in models that were stored before it could be set. */
  weightsUrl: z.string().nullable().optional(),
  createdAt: z.number(),
  /** Id of the version that `owner/name` alone stands for; null before the first push. */
  latestVersion: z.string().nullable(),
});
export type Model = z.infer<typeof modelSchema>;
