import { z } from 'zod';
import { describeVariable, logVariables, tableVariables } from '../core/cloud-variables.ts';
import { parseEnvironment } from '../core/environment.ts';

/** The function's environment: the table whose stream calls it, and which holds the ledger. */
export const meteringEnvironment = z.object({ ...tableVariables, ...logVariables });
export type MeteringEnv = z.infer<typeof meteringEnvironment>;

/** @throws Error with a line for each mistake */
export function parseMeteringEnv(env: NodeJS.ProcessEnv): MeteringEnv {
  return parseEnvironment(meteringEnvironment, env, describeVariable(env));
}

/**
 * FilterCriteria of the function's event source: rows of jobs as they ended, told by the form that items have in
 * DynamoDB. It may let through more than `isEndedJob` does, never less.
 */
export const meteringFilters = [
  {
    // What is removed has no image.
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
