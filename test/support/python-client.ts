import { pythonEnvironment } from './python-environment.ts';

/** The `bin` folder of an environment with Replicate's official Python client: the last release of the 1.x line. */
export async function pythonClient(): Promise<string> {
  return await pythonEnvironment('replicate==1.0.7');
}

/** The same of the 2.x line, which is in beta. */
export async function pythonBetaClient(): Promise<string> {
  return await pythonEnvironment('replicate==2.0.0b4');
}
