import { execFile } from 'node:child_process';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { findPython } from '../../services/registrar/python.ts';

const run = promisify(execFile);
const cache = resolve(import.meta.dirname, '../../.cache/test-clients');
/** Installing from an index takes seconds; longer means that another test file died over it. */
const makingTimeoutMs = 180_000;

/**
 * The `bin` folder of a Python environment with one package, made once for all test files.
 * @param pin `name==version`
 */
export async function pythonEnvironment(pin: string): Promise<string> {
  const python = await findPython();
  const folder = join(cache, `${pin.replace('==', '-')}-python-${python.version}`);
  const until = Date.now() + makingTimeoutMs;
  while (!(await exists(join(folder, '.complete')))) {
    if (await begin(folder)) await make(folder, python.path, pin);
    else if (Date.now() > until) await rm(folder, { recursive: true, force: true });
    else await new Promise((done) => setTimeout(done, 200));
  }
  return join(folder, 'bin');
}

/** Of test files that want it at the same time, the one that makes the folder makes the environment. */
async function begin(folder: string): Promise<boolean> {
  await mkdir(cache, { recursive: true });
  return await mkdir(folder).then(
    () => true,
    () => false,
  );
}

async function make(folder: string, python: string, pin: string): Promise<void> {
  console.log(`Making an environment with ${pin} in ${folder}`);
  try {
    await run(python, ['-m', 'venv', folder]);
    await run(join(folder, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', pin]);
    await writeFile(join(folder, '.complete'), '');
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
