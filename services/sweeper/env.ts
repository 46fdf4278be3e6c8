import { z } from 'zod';
import { retentionVariables } from '../core/api-variables.ts';
import {
  bucketVariables,
  channelVariables,
  describeVariable,
  logVariables,
  queueVariables,
  tableVariables,
} from '../core/cloud-variables.ts';
import { parseEnvironment } from '../core/environment.ts';

/** The function's environment; what infra gives it is typed by this. */
export const sweeperEnvironment = z.object({
  ...tableVariables,
  ...queueVariables,
  ...bucketVariables,
  /**
   * Unset where the function stands outside of the channel's network, as in AWS. Its doorbells are lost then: a waiter
   * hears of an end 2 s later, the director of a job 5 s later, and a runner of a deadline with its next heartbeat.
   */
  MIMEO_CHANNEL_URL: channelVariables.MIMEO_CHANNEL_URL.optional(),
  ...logVariables,
  ...retentionVariables,
  /** The queue of deliveries to be tried. */
  MIMEO_WEBHOOK_QUEUE_URL: z.url({ protocol: /^https?$/ }),
});
export type SweeperEnv = z.infer<typeof sweeperEnvironment>;

/** @throws Error with a line for each mistake */
export function parseSweeperEnv(env: NodeJS.ProcessEnv): SweeperEnv {
  return parseEnvironment(sweeperEnvironment, env, describeVariable(env));
}

/** What its schedules send: nothing for a round, each minute, and `ledger`, each day, to verify the last days' ledger. */
export const sweeperEventSchema = z.object({ task: z.enum(['round', 'ledger']).default('round') });
export type SweeperEvent = z.input<typeof sweeperEventSchema>;
