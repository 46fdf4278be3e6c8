import { z } from 'zod';
import { describeVariable, logVariables, tableVariables } from '../core/cloud-variables.ts';
import { parseEnvironment } from '../core/environment.ts';
import { registryVariables } from '../core/registry-variables.ts';

const schema = z.object({ ...tableVariables, ...registryVariables, ...logVariables });
export type RegistrarEnv = z.infer<typeof schema>;

/** @throws Error with a line for each mistake */
export function parseRegistrarEnv(env: NodeJS.ProcessEnv): RegistrarEnv {
  return parseEnvironment(schema, env, describeVariable(env));
}
