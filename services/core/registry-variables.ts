import { z } from 'zod';

/** Where models' images lie. */
export const registryVariables = {
  /** What the names of all models' repositories begin with: `PREFIX/OWNER/NAME`. */
  MIMEO_REPOSITORY_PREFIX: z
    .string()
    .regex(
      /^[a-z0-9]+(?:[._/-][a-z0-9]+)*$/,
      'takes lower-case letters and digits, with single . _ - or / between',
    )
    .max(100),
  /** The registry's own address; ECR tells it where it is not set. */
  MIMEO_REGISTRY_URL: z.url({ protocol: /^https?$/ }).optional(),
};

/** For who hands out logins that push. */
export const pushVariables = {
  ...registryVariables,
  /** The role whose sessions push, each narrowed to one account's repositories. */
  MIMEO_PUSH_ROLE_ARN: z
    .string()
    .regex(/^arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]+$/, "takes a role's ARN, arn:aws:iam::…"),
};
