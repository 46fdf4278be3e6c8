import { chmod, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { findPython } from '../../services/registrar/python.ts';
import { temporaryFolder } from './registrar-home.ts';

afterEach(() => vi.unstubAllEnvs());

test('a Python is found on PATH, with its version', async () => {
  const python = await findPython();

  expect(python.version).toMatch(/^3\.\d+\.\d+$/);
  expect(python.path).toMatch(/^\//);
});

test('the series that a model asks for is taken wherever it stands on PATH', async () => {
  const real = await findPython();
  const [, minor] = real.version.split('.');
  const folder = await temporaryFolder();
  await writeScript(join(folder, 'python3'), pretend('3.99.0'));
  await symlink(real.path, join(folder, `python3.${minor}`));
  vi.stubEnv('PATH', folder);

  expect((await findPython({ wanted: `3.${minor}` })).version).toBe(real.version);
  expect((await findPython({ wanted: `3.${minor}.99` })).version).toBe(real.version);
  expect((await findPython()).version).toBe('3.99.0');
});

test('where the wanted series is not there, another one is used', async () => {
  const real = await findPython();

  expect((await findPython({ wanted: '3.98' })).version).toBe(real.version);
});

test('a shim without an interpreter behind it is passed over', async () => {
  const real = await findPython();
  const shims = await temporaryFolder();
  const folder = await temporaryFolder();
  await writeScript(join(shims, 'python3'), 'echo "command not found" >&2; exit 127');
  await symlink(real.path, join(folder, 'python3'));
  vi.stubEnv('PATH', `${shims}:${folder}`);

  expect((await findPython()).version).toBe(real.version);
});

test('the preferred Python comes first', async () => {
  const folder = await temporaryFolder();
  await writeScript(join(folder, 'mine'), pretend('3.97.1'));

  expect((await findPython({ preferred: join(folder, 'mine') })).version).toBe('3.97.1');
});

test('no Python at all: the message says how to get one', async () => {
  vi.stubEnv('PATH', await temporaryFolder());

  await expect(findPython()).rejects.toThrow(
    /no Python was found on PATH\. Install it .*apt install python3/,
  );
});

test('a Python that is too old: the message names it', async () => {
  const folder = await temporaryFolder();
  await writeScript(join(folder, 'python3'), pretend('3.8.18'));
  vi.stubEnv('PATH', folder);

  await expect(findPython()).rejects.toThrow('only an older Python was found (/fake/python is 3.8.18)');
});

function pretend(version: string): string {
  return `echo '{"path": "/fake/python", "version": "${version}", "hasVenv": true}'`;
}

async function writeScript(path: string, body: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
}
