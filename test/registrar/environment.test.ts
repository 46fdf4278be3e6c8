import { access, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { runCommand } from '../../services/registrar/command.ts';
import { defaultCogVersion, ensureEnvironment, type Packages } from '../../services/registrar/environment.ts';
import { installerEnvironment } from '../../services/registrar/process-environment.ts';
import { executables, findPython } from '../../services/registrar/python.ts';
import { sharedEnvironments, temporaryFolder } from './registrar-home.ts';

const none: Packages = { pythonPackages: [], requirementsFile: null, sdkVersion: null };
const quiet = { onProgress: () => {} };

afterEach(() => vi.unstubAllEnvs());

describe('ensureEnvironment', () => {
  test('a model that names no Cog gets the default one, and another such model shares it', async () => {
    const python = await findPython();
    const source = await temporaryFolder();

    const path = await ensureEnvironment(sharedEnvironments, python, none, source, quiet);

    expect(await installedVersion(path, 'cog')).toBe(defaultCogVersion);
    expect(await installedVersion(path, 'coglet')).toBe(defaultCogVersion);
    expect(await ensureEnvironment(sharedEnvironments, python, none, await temporaryFolder(), quiet)).toBe(
      path,
    );
  });

  test('it is made once for many who ask at a time, and told while it is made', async () => {
    const folder = await temporaryFolder();
    const python = await findPython();
    const source = await temporaryFolder();
    const messages: string[] = [];
    const small: Packages = { ...none, pythonPackages: ['iniconfig==2.0.0'], sdkVersion: '0.16.0' };
    offline(await wheelhouse(['iniconfig==2.0.0', 'cog==0.16.0']));

    const paths = await Promise.all(
      [1, 2, 3].map(() =>
        ensureEnvironment(folder, python, small, source, { onProgress: (message) => messages.push(message) }),
      ),
    );

    expect(new Set(paths).size).toBe(1);
    expect(await readdir(folder)).toEqual([paths[0]?.split('/').at(-1)]);
    expect(messages.filter((message) => message.startsWith('installing') && !message.includes('…'))).toEqual([
      'installing packages (cog==0.16.0 iniconfig==2.0.0)',
    ]);
  });

  test.each([
    ['sdk_version', { ...none, sdkVersion: '0.17.0' }],
    ['python_packages', { ...none, pythonPackages: ['cog==0.17.0'] }],
  ])('coglet is of the release of the cog that %s pins', async (_, packages) => {
    const folder = await temporaryFolder();
    offline(await wheelhouse(['cog==0.17.0', 'coglet==0.17.0', 'coglet==0.23.1']));

    const path = await ensureEnvironment(folder, await findPython(), packages, folder, quiet);

    expect(await installedVersion(path, 'cog')).toBe('0.17.0');
    expect(await installedVersion(path, 'coglet')).toBe('0.17.0');
  });

  test('one whose making was interrupted is made anew, as is one that lost its Python', async () => {
    const folder = await temporaryFolder();
    const python = await findPython();
    const source = await temporaryFolder();
    const small: Packages = { ...none, pythonPackages: [], sdkVersion: '0.16.0' };
    offline(await wheelhouse(['cog==0.16.0']));
    const path = await ensureEnvironment(folder, python, small, source, quiet);
    const madeAt = (await stat(join(path, '.complete'))).mtimeMs;

    await rm(join(path, '.complete'));
    await writeFile(join(path, 'left-over'), '');
    await ensureEnvironment(folder, python, small, source, quiet);
    expect(await readdir(path)).not.toContain('left-over');

    await rm(join(path, 'bin', 'python'));
    await ensureEnvironment(folder, python, small, source, quiet);
    expect((await stat(join(path, '.complete'))).mtimeMs).toBeGreaterThan(madeAt);
    expect((await stat(join(path, 'bin', 'python'))).isFile()).toBe(true);
  });

  test('a package that does not exist is named with its file and line, and nothing is left', async () => {
    const folder = await temporaryFolder();
    const source = await temporaryFolder();
    await writeFile(join(source, 'requirements.txt'), '# mine\nmimeo-no-such-package==1.2\n');

    await expect(
      ensureEnvironment(
        folder,
        await findPython(),
        { ...none, requirementsFile: 'requirements.txt' },
        source,
        quiet,
      ),
    ).rejects.toMatchObject({
      code: 'invalid_model',
      message: expect.stringMatching(
        /^requirements\.txt:2: the packages could not be installed:\n[\s\S]*mimeo-no-such-package/,
      ),
    });
    expect(await readdir(folder)).toEqual([]);
  });

  test('an index that cannot be reached is not the fault of the model', async () => {
    const folder = await temporaryFolder();
    vi.stubEnv('PIP_INDEX_URL', 'http://127.0.0.1:9/simple');
    vi.stubEnv('UV_INDEX_URL', 'http://127.0.0.1:9/simple');
    vi.stubEnv('PIP_RETRIES', '1');

    await expect(
      ensureEnvironment(
        folder,
        await findPython(),
        { ...none, pythonPackages: ['mimeo-no-such-package'] },
        folder,
        quiet,
      ),
    ).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('try again') });
  });

  test('an abort ends the installation and leaves nothing', async () => {
    const folder = await temporaryFolder();
    const abort = new AbortController();
    const onProgress = (message: string) => {
      if (message.startsWith('making')) abort.abort(new Error('never mind'));
    };

    await expect(
      ensureEnvironment(folder, await findPython(), { ...none, sdkVersion: '0.16.1' }, folder, {
        onProgress,
        signal: abort.signal,
      }),
    ).rejects.toThrow('never mind');
    expect(await readdir(folder)).toEqual([]);
  });

  test('a Python that cannot make environments: the message says what to install', async () => {
    const python = { path: '/usr/bin/python3.11', version: '3.11.2', hasVenv: false };
    const folder = await temporaryFolder();
    vi.stubEnv('PATH', folder);

    await expect(ensureEnvironment(folder, python, none, folder, quiet)).rejects.toThrow(
      'sudo apt install python3.11-venv',
    );
  });

  test('with uv on PATH, uv makes it', async () => {
    const folder = await temporaryFolder();
    vi.stubEnv('PATH', `${await uvFolder()}${delimiter}${process.env.PATH}`);

    const path = await ensureEnvironment(folder, await findPython(), none, folder, quiet);

    expect(await installedVersion(path, 'cog')).toBe(defaultCogVersion);
    expect(await readdir(join(path, 'bin'))).not.toContain('pip');
  });
});

/** The folder of a real uv: the machine's, else one that pip installs once. */
async function uvFolder(): Promise<string> {
  const [found] = await executables('uv');
  if (found !== undefined) return dirname(found);
  const bin = join(sharedEnvironments, '..', 'test-uv', 'bin');
  if (
    await access(join(bin, 'uv')).then(
      () => true,
      () => false,
    )
  )
    return bin;
  const python = await findPython();
  const made = await runCommand(python.path, ['-m', 'venv', dirname(bin)], { env: installerEnvironment() });
  expect(made.exitCode, made.output).toBe(0);
  const installed = await runCommand(join(bin, 'python'), ['-m', 'pip', 'install', '-q', 'uv==0.9.11'], {
    env: installerEnvironment(),
  });
  expect(installed.exitCode, installed.output).toBe(0);
  return bin;
}

async function installedVersion(environment: string, name: string): Promise<string> {
  const { output } = await runCommand(
    join(environment, 'bin', 'python'),
    ['-c', `from importlib.metadata import version; print(version("${name}"))`],
    { env: {} },
  );
  return output.trim();
}

/** A folder of tiny wheels, so that what is tested is not the network. */
async function wheelhouse(pins: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  const python = await findPython();
  const script = `
import sys, zipfile
for pin in sys.argv[2:]:
    name, version = pin.split("==")
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(f"{sys.argv[1]}/{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
`;
  await mkdir(folder, { recursive: true });
  const { exitCode } = await runCommand(python.path, ['-c', script, folder, ...pins], { env: {} });
  expect(exitCode).toBe(0);
  return folder;
}

function offline(wheels: string): void {
  vi.stubEnv('PIP_NO_INDEX', '1');
  vi.stubEnv('PIP_FIND_LINKS', wheels);
  vi.stubEnv('UV_NO_INDEX', '1');
  vi.stubEnv('UV_FIND_LINKS', wheels);
}
