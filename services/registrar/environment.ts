import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { ProblemError } from '../core/errors.ts';
import { runCommand, withProgress } from './command.ts';
import { withLock } from './lock.ts';
import { installerEnvironment } from './process-environment.ts';
import { executables, type Python } from './python.ts';
import { type Requirements, readRequirements, requirementName } from './requirements.ts';

/** The Cog that a model runs under unless it names one itself. */
export const defaultCogVersion = '0.23.1';

/** What a model asks to be installed. */
export interface Packages {
  readonly pythonPackages: readonly string[];
  /** Path inside `sourceFolder`. */
  readonly requirementsFile: string | null;
  /** `build.sdk_version` */
  readonly sdkVersion: string | null;
}

export interface EnvironmentOptions {
  readonly onProgress: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Where the environment with these packages is, or would be. */
export async function environmentPath(
  folder: string,
  python: Python,
  packages: Packages,
  sourceFolder: string,
): Promise<string> {
  const { cog, requirements } = await wantedBy(packages, sourceFolder);
  return join(folder, environmentKey(python, cog, packages.pythonPackages, requirements));
}

async function wantedBy(packages: Packages, sourceFolder: string) {
  const requirements = packages.requirementsFile
    ? await readRequirements(sourceFolder, packages.requirementsFile)
    : undefined;
  return { requirements, cog: cogRequirements(packages, requirements) };
}

/**
 * A virtual environment with these packages: the one that is there, shared by every version that asks for the same,
 * or a new one. It is made once however many ask at a time, and made anew if its making was interrupted.
 * @param folder where environments live; a virtual environment cannot be moved after it was made
 * @returns the environment's folder
 * @throws ProblemError `invalid_model` where a package cannot be had, `unavailable` where the machine or network fails
 */
export async function ensureEnvironment(
  folder: string,
  python: Python,
  packages: Packages,
  sourceFolder: string,
  options: EnvironmentOptions,
): Promise<string> {
  const { cog, requirements } = await wantedBy(packages, sourceFolder);
  const path = join(folder, environmentKey(python, cog, packages.pythonPackages, requirements));
  if (await isComplete(path)) return path;

  await mkdir(folder, { recursive: true });
  return await withLock(`${path}.lock`, options.signal, async () => {
    if (await isComplete(path)) return path;
    await rm(path, { recursive: true, force: true });
    try {
      await makeEnvironment(
        path,
        python,
        [...cog, ...packages.pythonPackages],
        packages,
        sourceFolder,
        options,
      );
      await writeFile(marker(path), '');
    } catch (error) {
      await rm(path, { recursive: true, force: true });
      throw error;
    }
    return path;
  });
}

/** Cog as the model asks for it, and the default where the model names none. */
function cogRequirements(packages: Packages, requirements: Requirements | undefined): string[] {
  const { sdkVersion } = packages;
  const lines = new Map(requirements?.byName);
  for (const line of packages.pythonPackages) lines.set(requirementName(line) ?? line, line);
  const named = lines.get('cog');
  if (sdkVersion === 'prerelease') return ['--pre', 'cog'];
  const version = sdkVersion ?? (named ? /==\s*([\w.]+)\s*$/.exec(named)?.[1] : defaultCogVersion);
  const cog = sdkVersion || !named ? [`cog==${version}`] : [];
  // Cog lets coglet be newer than itself, but a newer one does not load an older cog: they are released together.
  const coglet = version && !lines.has('coglet') && !isPurePython(version) ? [`coglet==${version}`] : [];
  // Where the one is a pre-release, so is the other.
  return [...(sdkVersion && /[a-z]/.test(sdkVersion) ? ['--pre'] : []), ...cog, ...coglet];
}

/** Before 0.17 Cog's server was written in Python, without coglet. */
function isPurePython(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major === 0 && minor < 17;
}

function environmentKey(
  python: Python,
  cog: readonly string[],
  pythonPackages: readonly string[],
  requirements: Requirements | undefined,
): string {
  const packages = pythonPackages.map((name) => name.trim()).sort();
  const made = [platform(), arch(), python.version, cog, packages, requirements?.digest ?? null];
  return createHash('sha256').update(JSON.stringify(made)).digest('hex').slice(0, 32);
}

function marker(path: string): string {
  return join(path, '.complete');
}

/** Whether the environment was made to the end and its interpreter is still there. */
async function isComplete(path: string): Promise<boolean> {
  try {
    await Promise.all([access(marker(path)), access(join(path, 'bin', 'python'))]);
    return true;
  } catch {
    return false;
  }
}

async function makeEnvironment(
  path: string,
  python: Python,
  requirements: readonly string[],
  packages: Packages,
  sourceFolder: string,
  { onProgress, signal }: EnvironmentOptions,
): Promise<void> {
  const [uv] = await executables('uv');
  const env = installerEnvironment();
  const run = (command: string, args: readonly string[], cwd: string) =>
    runCommand(command, args, { cwd, env, ...(signal && { signal }) });

  if (!uv && !python.hasVenv) throw noVenv(python);
  const made = await withProgress(onProgress, `making an environment with Python ${python.version}`, () =>
    uv
      ? run(uv, ['venv', '--no-project', '--python', python.path, path], sourceFolder)
      : run(python.path, ['-m', 'venv', path], sourceFolder),
  );
  if (made.exitCode !== 0) {
    throw new ProblemError('unavailable', `The Python environment could not be made:\n${tail(made.output)}`);
  }

  // pip takes local paths in a requirements file from the folder that it runs in, Cog from that of the file.
  const file = packages.requirementsFile;
  const cwd = file ? join(sourceFolder, dirname(file)) : sourceFolder;
  const wanted = [...requirements, ...(file ? ['-r', basename(file)] : [])];
  const names = [...requirements.filter((name) => !name.startsWith('-')), ...(file ? [file] : [])].join(' ');
  const interpreter = join(path, 'bin', 'python');
  const installed = await withProgress(onProgress, `installing packages (${names})`, () =>
    uv
      ? run(
          uv,
          ['pip', 'install', '--no-progress', '--compile-bytecode', '--python', interpreter, ...wanted],
          cwd,
        )
      : run(interpreter, ['-m', 'pip', 'install', ...pipOptions, ...wanted], cwd),
  );
  if (installed.exitCode !== 0) throw await installProblem(installed.output, packages, sourceFolder);
}

const pipOptions = ['--no-input', '--no-color', '--progress-bar', 'off', '--disable-pip-version-check'];

const unreachable =
  /Temporary failure in name resolution|Name or service not known|NewConnectionError|Connection (refused|reset)|timed out|Network is unreachable|ProxyError|dns error|error sending request|No space left on device/i;

async function installProblem(
  output: string,
  packages: Packages,
  sourceFolder: string,
): Promise<ProblemError> {
  const said = relevantLines(output);
  if (unreachable.test(output)) {
    return new ProblemError(
      'unavailable',
      `The packages could not be installed, because the package index could not be reached or the disk is full; ` +
        `try again:\n${said}`,
    );
  }
  const where = await placeOfCulprit(output, packages, sourceFolder);
  return new ProblemError('invalid_model', `${where}: the packages could not be installed:\n${said}`);
}

/** What pip or uv say of the reason: their lines that are marked as errors, or else the last few. */
function relevantLines(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const marked = lines.filter((line) => /^ERROR:|^error:|^\s*(×|╰─▶|├─▶|cause:|hint:)/.test(line));
  const told = marked.length > 0 ? marked.slice(-6) : lines.slice(-8);
  // pip lists every version that there is.
  return told
    .map((line) => line.replace(/\(from versions: .{60,}?\)/, '(from versions: …)').slice(0, 500))
    .join('\n');
}

function tail(output: string): string {
  return output.trim().split('\n').slice(-8).join('\n');
}

/** The line that asked for the package that could not be had, as far as the installer names it. */
async function placeOfCulprit(output: string, packages: Packages, sourceFolder: string): Promise<string> {
  const culprit =
    /(?:No matching distribution found for|satisfies the requirement|Because|Failed to build `?|Invalid requirement: ')\s*'?([A-Za-z0-9][\w.-]*)/.exec(
      output,
    )?.[1];
  const file = packages.requirementsFile;
  if (!file) return packages.pythonPackages.length > 0 ? 'cog.yaml: python_packages' : 'cog.yaml';
  const lines = (await readFile(join(sourceFolder, file), 'utf8')).split('\n');
  const name = culprit && requirementName(culprit);
  const index = name ? lines.findIndex((line) => requirementName(line) === name) : -1;
  return index < 0 ? file : `${file}:${index + 1}`;
}

function noVenv(python: Python): ProblemError {
  const [major, minor] = python.version.split('.');
  return new ProblemError(
    'unavailable',
    `${python.path} cannot make virtual environments; install uv, or on Debian and Ubuntu ` +
      `\`sudo apt install python${major}.${minor}-venv\`, and push again`,
  );
}
