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

const schema = z.object({
  ...tableVariables,
  ...queueVariables,
  ...bucketVariables,
  ...channelVariables,
  ...logVariables,
  ...retentionVariables,
  /** The queue of deliveries to be tried. */
  MIMEO_WEBHOOK_QUEUE_URL: z.url({ protocol: /^https?$/ }),
});
export type SweeperEnv = z.infer<typeof schema>;

/** @throws Error with a line for each mistake */
export function parseSweeperEnv(env: NodeJS.ProcessEnv): SweeperEnv {
  return parseEnvironment(schema, env, describeVariable(env));
}

/** What its schedules send: nothing for a round, each minute, and `ledger`, each day, to verify the last days' ledger. */
export const sweeperEventSchema = z.object({ task: z.enum(['round', 'ledger']).default('round') });
export type SweeperEvent = z.input<typeof sweeperEventSchema>;
