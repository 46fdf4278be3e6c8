import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

export interface CommandResult {
  /** null where a signal ended the process. */
  readonly exitCode: number | null;
  /** The end of stdout and stderr together, at most `maxOutputChars`. */
  readonly output: string;
  /** What the process wrote to file descriptor 3. */
  readonly answer: string;
  readonly timedOut: boolean;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const maxOutputChars = 256 * 1024;
const maxAnswerChars = 16 * 1024 * 1024;

/**
 * Runs a program to its end. It and whatever it started are killed after `timeoutMs` and on abort.
 * @throws the signal's reason on abort; Error where the program cannot be started
 */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const { signal, timeoutMs } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    // A group of its own, so that children of the program are killed with it.
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
    });
    let timedOut = false;
    const kill = () => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended in the meantime.
      }
    };
    const timer = setTimeout(
      () => {
        timedOut = true;
        kill();
      },
      timeoutMs ?? 2 ** 31 - 1,
    );
    signal?.addEventListener('abort', kill, { once: true });
    const output = collect([child.stdout, child.stderr], maxOutputChars);
    const answer = collect([child.stdio[3] as Readable], maxAnswerChars);
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', kill);
      finish();
    };
    child.once('error', (error) => settle(() => reject(error)));
    // A process that lives on may hold the pipes open, so the group is ended before they are awaited.
    child.once('exit', kill);
    child.once('close', (exitCode) => {
      settle(() => {
        if (signal?.aborted) reject(signal.reason);
        else resolve({ exitCode, output: output(), answer: answer(), timedOut });
      });
    });
  });
}

/** Reads streams into one text and keeps its last `maxChars`. */
function collect(streams: readonly (Readable | null)[], maxChars: number): () => string {
  let text = '';
  for (const stream of streams) {
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      text = (text + chunk).slice(-maxChars);
    });
  }
  return () => text;
}

/** Tells every two seconds that `message` still goes on, until `work` ends. */
export async function withProgress<T>(
  onProgress: (message: string) => void,
  message: string,
  work: () => Promise<T>,
): Promise<T> {
  const startedAt = performance.now();
  onProgress(message);
  const timer = setInterval(() => {
    onProgress(`${message} … ${Math.round((performance.now() - startedAt) / 1000)} s`);
  }, 2000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
