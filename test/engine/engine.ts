import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { goToolFolder } from '../support/go-tools.ts';

/** How a run of Pulumi's CLI ended. */
export interface EngineRun {
  readonly code: number | null;
  /** stdout and stderr in one. */
  readonly said: string;
  readonly stdout: string;
}

/** Pulumi's own CLI over a program, with state in a folder of its own. */
export interface Engine {
  /** Where Pulumi.yaml lies: a copy, with links to everything else. */
  readonly folder: string;
  /** Its environment: what a command that starts the CLI itself must be given. */
  readonly environment: Readonly<Record<string, string>>;
  /** Runs any program in that environment. @param options cwd: default `folder` */
  start(
    command: string,
    args: readonly string[],
    options?: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> },
  ): Promise<EngineRun>;
  /** `pulumi ARGS`. */
  run(...args: readonly string[]): Promise<EngineRun>;
  /** The same, which must end well. @returns stdout and stderr */
  must(...args: readonly string[]): Promise<string>;
  /** Takes away the folder and its state. */
  remove(): Promise<void>;
}

/**
 * Prepares a run of a program.
 * @param program folder of its Pulumi.yaml: this repository, or a smaller one
 * @param environment how the engine finds its providers
 */
export async function openEngine(
  program: string,
  environment: Readonly<Record<string, string>>,
): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-engine-'));
  const project = join(folder, 'project');
  await linkProgram(resolve(program), project);
  const state = join(folder, 'state');
  const home = join(folder, 'home');
  await mkdir(state);
  await mkdir(home);
  const bin = join(folder, 'bin');
  await writeLanguageHost(bin);
  const env: Record<string, string> = {
    // The Node that runs this one comes early: the program needs as new a one.
    PATH: [bin, goToolFolder('pulumi'), dirname(process.execPath), process.env.PATH].join(delimiter),
    HOME: process.env.HOME ?? home,
    PULUMI_HOME: home,
    PULUMI_BACKEND_URL: `file://${state}`,
    PULUMI_CONFIG_PASSPHRASE: 'of no consequence',
    PULUMI_SKIP_UPDATE_CHECK: '1',
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
    ...environment,
  };
  const start: Engine['start'] = async (command, args, { cwd = project, env: more = {} } = {}) => {
    const child = spawn(command, args, { cwd, env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
    let [said, stdout] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += String(chunk);
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        said += String(chunk);
      });
    }
    const [code] = await once(child, 'close');
    return { code, said, stdout };
  };
  const run = (...args: readonly string[]): Promise<EngineRun> =>
    start('pulumi', ['--non-interactive', '--color', 'never', ...args]);
  return {
    folder: project,
    environment: env,
    start,
    run,
    async must(...args) {
      const { code, said } = await run(...args);
      if (code !== 0) throw new Error(`pulumi ${args.join(' ')} ended with ${code}:\n${said}`);
      return said;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/**
 * The language host that could be built is older than the engine: it takes `runtime.options` of Pulumi.yaml as flags,
 * where the engine hands them over in its calls.
 */
async function writeLanguageHost(bin: string): Promise<void> {
  const name = 'pulumi-language-nodejs';
  const script = `#!/bin/sh\nexec "${join(goToolFolder(name), name)}" -typescript=false "$@"\n`;
  await mkdir(bin);
  await writeFile(join(bin, name), script, { mode: 0o755 });
}

/** The CLI writes into `Pulumi.<stack>.yaml`, so that those are copied; everything else is the program's own. */
async function linkProgram(program: string, project: string): Promise<void> {
  await mkdir(project);
  for (const name of await readdir(program)) {
    if (/^Pulumi(\.\w+)?\.yaml$/.test(name)) await copyFile(join(program, name), join(project, name));
    else if (!name.startsWith('.')) await symlink(join(program, name), join(project, name));
  }
  const modules = resolve(import.meta.dirname, '../../node_modules');
  await symlink(modules, join(project, 'node_modules')).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
