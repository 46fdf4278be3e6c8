import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const repository = resolve(import.meta.dirname, '../..');
/** Lines that are kept of what a service says, for whoever wants to know why it ended. */
const keptLines = 200;

/** A service as a process of its own. */
export interface ServiceProcess {
  /** The line of its log by which it said that it is ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  readonly isRunning: boolean;
  /** What it said last. */
  readonly said: () => string;
  /** SIGTERM. @returns its exit code */
  stop(): Promise<number | null>;
  /** kill -9 */
  kill(): Promise<void>;
}

/**
 * Starts a program and waits until its log says `readyMessage`.
 * @param path in the repository, or in `root` where the sources are of another release
 */
export async function startService(
  path: string,
  env: Readonly<Record<string, string>>,
  readyMessage: string,
  root = repository,
): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [join(root, path)], {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, MIMEO_LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  const said = () => lines.join('\n');
  const ready = await readyLine(child, lines, readyMessage, path);
  return {
    ready,
    said,
    get isRunning() {
      return child.exitCode === null && child.signalCode === null;
    },
    async stop() {
      child.kill('SIGTERM');
      await exited;
      return child.exitCode;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function readyLine(
  child: ChildProcess,
  lines: string[],
  readyMessage: string,
  path: string,
): Promise<Record<string, unknown>> {
  const { promise, resolve: found, reject } = Promise.withResolvers<Record<string, unknown>>();
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
      const event = parse(line);
      if (event?.msg === readyMessage) found(event);
    });
  }
  child.once('exit', (code) => reject(new Error(`${path} ended with ${code}:\n${lines.join('\n')}`)));
  return await promise;
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
