import { z } from 'zod';

/** Bytes that a signing key has at least: those of the hash that it keys (RFC 2104, section 3). */
const leastKeyBytes = 32;

/** The table that holds all state. */
export const tableVariables = {
  MIMEO_TABLE: z.string().min(1),
};

/** Queues of jobs, one a pool. */
export const queueVariables = {
  /** What every queue's name begins with; 40 more characters follow it. */
  MIMEO_QUEUE_PREFIX: z.string().regex(/^[\w-]{1,40}$/, 'takes up to 40 letters, digits, - and _'),
  /** Where messages go that nobody removes. */
  MIMEO_DEAD_LETTER_ARN: z
    .string()
    .regex(/^arn:[\w-]+:sqs:/, "takes a queue's ARN, arn:aws:sqs:…")
    .optional(),
};

/** Files and large values: all that is needed where none is given to clients to read. */
export const bucketVariables = {
  MIMEO_BUCKET: z.string().min(3),
};

/** Files and large values. Reads go through CloudFront where its three variables are set. */
export const objectsVariables = {
  ...bucketVariables,
  /** `https://…`, without a path. */
  MIMEO_CLOUDFRONT_URL: z.url({ protocol: /^https?$/ }).optional(),
  MIMEO_CLOUDFRONT_KEY_PAIR_ID: z.string().min(1).optional(),
  /** PEM. */
  MIMEO_CLOUDFRONT_PRIVATE_KEY: z.string().min(1).optional(),
};

/** Live events and doorbells. */
export const channelVariables = {
  MIMEO_CHANNEL_URL: z.url({ protocol: /^rediss?$/ }),
};

const key = z.base64().transform((text, context) => {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length >= leastKeyBytes) return bytes;
  context.addIssue(`takes at least ${leastKeyBytes} bytes in base64, as of: openssl rand -base64 32`);
  return z.NEVER;
});

/**
 * Seals cursors, signs streams' and downloads' URLs and the fleet's tokens; the same for every api of one platform, and
 * for nobody else: whoever holds it can pass for the director.
 */
export const signingKeyVariables = {
  MIMEO_SIGNING_KEY: key,
};

/** Signs URLs of streams only: `streamKeyOf` the signing key. */
export const streamKeyVariables = {
  MIMEO_STREAM_KEY: key,
};

/** How clients reach the platform. */
export const publicUrlVariables = {
  MIMEO_PUBLIC_URL: z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, '')),
};

export const logVariables = {
  MIMEO_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
};

/** All that `openCloud` needs. */
export const cloudVariables = {
  ...tableVariables,
  ...queueVariables,
  ...objectsVariables,
  ...channelVariables,
  ...signingKeyVariables,
};

/** One record's type, such as `Variables<typeof tableVariables>`. */
export type Variables<Shape extends z.ZodRawShape> = z.infer<z.ZodObject<Shape>>;

/** A mistake in a line, without the value: it may be a secret. */
export function describeVariable(env: NodeJS.ProcessEnv): (name: string, message: string) => string {
  return (name, message) => `${name}${env[name] === undefined ? ' is missing' : `: ${message}`}`;
}
