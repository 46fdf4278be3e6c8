import { z } from 'zod';

export const accountSchema = z.object({
  /** Also the owner's name in `owner/name`. */
  username: z.string(),
  type: z.enum(['user', 'organization']),
  name: z.string(),
  githubUrl: z.string().nullable(),
  avatarUrl: z.string().nullable(),
  createdAt: z.number(),
});
export type Account = z.infer<typeof accountSchema>;

/** What a token opens: everything of its account, or nothing but lending machines to the account's models. */
export const tokenScopes = ['all', 'runner'] as const;
export type TokenScope = (typeof tokenScopes)[number];

/** A token as it is stored: by the hash of its secret, which is shown once and kept nowhere. */
export const tokenSchema = z.object({
  id: z.string(),
  account: z.string(),
  name: z.string(),
  createdAt: z.number(),
  revokedAt: z.number().nullable(),
  /** Absent in tokens of releases that knew no scopes: they open everything. */
  scope: z.enum(tokenScopes).optional(),
});
export type Token = z.infer<typeof tokenSchema>;
