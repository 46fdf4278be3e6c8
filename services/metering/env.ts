import { z } from 'zod';
import { parseEnvironment } from '../core/environment.ts';

const schema = z.object({
  /** Name of the table, whose stream calls this function and which holds the ledger. */
  MIMEO_TABLE: z.string().min(1),
  MIMEO_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
});
export type MeteringEnv = z.infer<typeof schema>;

/** @throws Error with a line for each mistake */
export function parseMeteringEnv(env: NodeJS.ProcessEnv): MeteringEnv {
  return parseEnvironment(schema, env, (name, message) => `${name}=${JSON.stringify(env[name])}: ${message}`);
}

/**
 * FilterCriteria of the function's event source: rows of jobs as they ended, told by the form that items have in
 * DynamoDB. It may let through more than `isEndedJob` does, never less.
 */
export const meteringFilters = [
  {
    eventName: ['INSERT', 'MODIFY'],
    dynamodb: {
      Keys: { sk: { S: ['JOB'] } },
      NewImage: {
        d: {
          M: {
            status: { S: ['succeeded', 'failed', 'canceled'] },
            // What is written of a job later is no end.
            dataRemoved: { BOOL: [false] },
            example: { BOOL: [{ exists: false }] },
          },
        },
      },
    },
  },
] as const;
