import { z } from 'zod';
import {
  describeVariable,
  logVariables,
  objectsVariables,
  publicUrlVariables,
  streamKeyVariables,
  tableVariables,
} from '../core/cloud-variables.ts';
import { parseEnvironment } from '../core/environment.ts';

/** The function's environment; what infra gives it is typed by this. */
export const webhooksEnvironment = z.object({
  ...tableVariables,
  ...objectsVariables,
  ...streamKeyVariables,
  ...publicUrlVariables,
  ...logVariables,
  /** The queue of deliveries to be tried, which calls this function too. */
  MIMEO_WEBHOOK_QUEUE_URL: z.url({ protocol: /^https?$/ }),
  /** Whether webhooks may be plain http and call loopback and private addresses. */
  MIMEO_WEBHOOK_PRIVATE: z.stringbool().default(false),
});
export type WebhooksEnv = z.infer<typeof webhooksEnvironment>;

/** @throws Error with a line for each mistake */
export function parseWebhooksEnv(env: NodeJS.ProcessEnv): WebhooksEnv {
  return parseEnvironment(webhooksEnvironment, env, describeVariable(env));
}

/**
 * FilterCriteria of the function's source among streams: what `isWebhookChange` and `readRedelivery` take, told by the
 * form that items have in DynamoDB; what is removed has no image. It may let through more than they do, never less.
 */
export const webhookFilters = [
  // The start and the end of a job that has a webhook. Its events are a list, which is no attribute of its own.
  {
    dynamodb: {
      Keys: { sk: { S: ['JOB'] } },
      NewImage: {
        d: {
          M: {
            status: { S: ['processing', 'succeeded', 'failed', 'canceled'] },
            webhookEvents: { NULL: [{ exists: false }] },
            dataRemoved: { BOOL: [false] },
            example: { BOOL: [{ exists: false }] },
          },
        },
      },
    },
  },
  // Output or logs so far, where a webhook asked for them.
  { dynamodb: { NewImage: { d: { M: { announces: { S: [{ exists: true }] } } } } } },
  // A delivery that a person wants sent again.
  {
    dynamodb: {
      Keys: { pk: { S: [{ prefix: 'DELIVERIES#' }] } },
      NewImage: {
        d: { M: { state: { S: ['pending'] }, isRedelivery: { BOOL: [true] }, failures: { N: ['0'] } } },
      },
    },
  },
] as const;
