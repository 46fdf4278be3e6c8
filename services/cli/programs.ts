import { spawn } from 'node:child_process';
import { CliError, usageError } from './failure.ts';

/** The end of what a program printed, for the message of its failure. */
const maxOutputChars = 2000;

interface RunOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
  /** Written to its stdin, which is empty otherwise. */
  readonly stdin?: string;
  /** Whether what it prints goes to our stderr as it comes. */
  readonly shows?: boolean;
}

interface Ended {
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  /** The end of what it printed, where that is not shown. */
  readonly output: string;
}

/**
 * Runs a program of the user's, such as docker, to its end. It does not learn our own token.
 * @returns undefined where there is no such program
 * @throws the signal's reason on abort
 */
function run(program: string, args: readonly string[], options: RunOptions): Promise<Ended | undefined> {
  const { signal, cwd, stdin = '', shows = false } = options;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const { MIMEO_API_TOKEN: _token, ...env } = process.env;
    // Our stdout is for results; whatever a program has to say goes to stderr.
    const child = spawn(program, args, { cwd, env, stdio: ['pipe', shows ? 2 : 'pipe', shows ? 2 : 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-maxOutputChars);
      });
    }
    const end = () => child.kill('SIGTERM');
    signal.addEventListener('abort', end, { once: true });
    // It may end without reading what it is given.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(stdin);
    child.once('error', (error: NodeJS.ErrnoException) => {
      signal.removeEventListener('abort', end);
      if (error.code === 'ENOENT') resolve(undefined);
      else reject(new CliError(`${program} cannot be started: ${error.message}`));
    });
    child.once('close', (exitCode) => {
      signal.removeEventListener('abort', end);
      if (signal.aborted) reject(signal.reason);
      else resolve({ exitCode, output: output.trim() });
    });
  });
}

/** @throws CliError where Docker is not installed or does not answer */
export async function requireDocker(signal: AbortSignal): Promise<void> {
  const ended = await run('docker', ['version', '--format', '{{.Server.Version}}'], { signal });
  if (ended?.exitCode === 0) return;
  throw usageError(
    ended
      ? `Docker does not answer: ${ended.output || `it ended with ${ended.exitCode}`}\nStart it, and try again.`
      : 'There is no docker on the PATH, which images are built and pushed with. ' +
          'Install it: https://docs.docker.com/get-docker/',
  );
}

/** @throws CliError where the Cog CLI is not installed */
export async function requireCog(signal: AbortSignal): Promise<void> {
  const ended = await run('cog', ['--version'], { signal });
  if (ended?.exitCode === 0) return;
  throw usageError(
    ended
      ? `The Cog CLI does not work: ${ended.output || `it ended with ${ended.exitCode}`}`
      : 'There is no cog on the PATH, which makes an image of a folder. Install the Cog CLI: https://cog.run/',
  );
}

/**
 * Lets Docker, and Cog with it, push to a registry.
 * @throws CliError with what Docker said
 */
export async function dockerLogin(
  login: { readonly registry: string; readonly username: string; readonly password: string },
  signal: AbortSignal,
): Promise<void> {
  const { registry, username, password } = login;
  const ended = await run('docker', ['login', '--username', username, '--password-stdin', registry], {
    stdin: password,
    signal,
  });
  if (ended?.exitCode === 0) return;
  if (!ended) return await requireDocker(signal);
  throw new CliError(`Docker could not log in to ${registry}: ${ended.output}`);
}

/**
 * Builds an image of a folder and pushes it, saying how it goes on stderr.
 * @throws CliError where that fails; Cog has said why
 */
export async function cogPush(dir: string, image: string, signal: AbortSignal): Promise<void> {
  const ended = await run('cog', ['push', image], { cwd: dir, shows: true, signal });
  if (ended?.exitCode === 0) return;
  throw new CliError(
    `Cog could not build and push the image (${ended?.exitCode == null ? 'it was ended' : `exit code ${ended.exitCode}`}); ` +
      'its last lines say why. Nothing has become a version.',
  );
}

/**
 * Builds an image of a folder, puts a label on it and pushes it, saying how it goes on stderr. Cog itself takes no
 * labels, and one build more adds no layer.
 * @param label `name=value`
 * @throws CliError where a step fails; its program has said why
 */
export async function pushLabelled(
  dir: string,
  image: string,
  label: string,
  signal: AbortSignal,
): Promise<void> {
  const steps = [
    { program: 'cog', args: ['build', '--tag', image] },
    {
      program: 'docker',
      args: ['build', '--platform', 'linux/amd64', '--label', label, '--tag', image, '-'],
      stdin: `FROM ${image}\n`,
    },
    { program: 'docker', args: ['push', image] },
  ];
  for (const { program, args, stdin } of steps) {
    const ended = await run(program, args, { cwd: dir, stdin, shows: true, signal });
    if (ended?.exitCode === 0) continue;
    throw new CliError(
      `${program} ${args[0]} failed (${ended?.exitCode == null ? 'it was ended' : `exit code ${ended.exitCode}`}); ` +
        'its last lines say why. Nothing has become a version.',
    );
  }
}
