import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { parseCogYaml } from '../../services/registrar/cog-yaml.ts';
import { machineWarnings } from '../../services/registrar/machine-warnings.ts';
import { temporaryFolder } from './registrar-home.ts';

afterEach(() => vi.unstubAllEnvs());

const python = { path: '/usr/bin/python3', version: '3.12.4', hasVenv: true };

function withBuild(lines: string) {
  return parseCogYaml(`run: run.py:Runner\nbuild:\n${lines}`);
}

test('the Python that a model asks for is compared by its series', async () => {
  expect(await machineWarnings(withBuild('  python_version: "3.12.1"'), python)).toEqual([]);
  expect(await machineWarnings(withBuild('  python_version: "3.13"'), python)).toEqual([
    'cog.yaml asks for Python 3.13, which is not on PATH; Python 3.12.4 is used',
  ]);
});

test.each([
  ['no nvidia-smi', undefined, 1],
  ['an nvidia-smi that finds nothing', 'echo "No devices were found"; exit 6', 1],
  ['a GPU', 'echo "GPU 0: NVIDIA T4 (UUID: GPU-1)"', 0],
])('gpu: true with %s', async (_, script, warnings) => {
  const folder = await temporaryFolder();
  if (script) {
    await writeFile(join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, 'nvidia-smi'), 0o755);
  }
  vi.stubEnv('PATH', folder);

  expect(await machineWarnings(withBuild('  gpu: true'), python)).toHaveLength(warnings);
});
