import type { CogYaml } from './cog-yaml.ts';
import { runCommand } from './command.ts';
import { modelEnvironment } from './process-environment.ts';
import { executables, type Python, seriesOf } from './python.ts';

/** What a model asks for that this machine does not have, in sentences for people. */
export async function machineWarnings(cogYaml: CogYaml, python: Python): Promise<string[]> {
  const found: string[] = [];
  const wanted = cogYaml.pythonVersion;
  if (wanted && wanted.split('.').slice(0, 2).join('.') !== seriesOf(python)) {
    found.push(`cog.yaml asks for Python ${wanted}, which is not on PATH; Python ${python.version} is used`);
  }
  if (cogYaml.wantsGpu && !(await hasGpu())) {
    found.push('build.gpu is true, but nvidia-smi finds no GPU on this machine; the model runs on the CPU');
  }
  return found;
}

async function hasGpu(): Promise<boolean> {
  const [nvidiaSmi] = await executables('nvidia-smi');
  if (!nvidiaSmi) return false;
  const { exitCode, output } = await runCommand(nvidiaSmi, ['-L'], {
    env: modelEnvironment(),
    timeoutMs: 10_000,
  });
  return exitCode === 0 && output.includes('GPU ');
}
