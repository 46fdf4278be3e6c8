import { z } from 'zod';
import { describeVariable, logVariables, tableVariables } from '../core/cloud-variables.ts';
import { parseEnvironment } from '../core/environment.ts';
import { registryVariables } from '../core/registry-variables.ts';

/** The function's environment; what infra gives it is typed by this. */
export const registrarEnvironment = z.object({ ...tableVariables, ...registryVariables, ...logVariables });
export type RegistrarEnv = z.infer<typeof registrarEnvironment>;

/** @throws Error with a line for each mistake */
export function parseRegistrarEnv(env: NodeJS.ProcessEnv): RegistrarEnv {
  return parseEnvironment(registrarEnvironment, env, describeVariable(env));
}
