import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** Environments take seconds to make, so test runs share them. */
export const sharedEnvironments = join(root, '.cache', 'test-environments');

/** Folder of a model under `test/models`. */
export function testModel(name: string): string {
  return join(root, 'test', 'models', name);
}

/** Folder of a model under `examples`. */
export function example(name: string): string {
  return join(root, 'examples', name);
}

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A registrar's home without versions that uses the shared environments. */
export async function temporaryHome(): Promise<string> {
  const home = await temporaryFolder();
  await mkdir(sharedEnvironments, { recursive: true });
  await symlink(sharedEnvironments, join(home, 'environments'));
  return home;
}
