import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** What stands for a container image on this machine: how it starts, in what environment. */
export interface ContainerImage {
  readonly entrypoint: readonly string[];
  /** What follows it, where the pod says nothing else. */
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** How a container ended; 128 and the signal's number where one did it, as Kubernetes has it. */
export type ContainerExit = number;

/** A container's process with all that it has started. */
export interface ContainerProcess {
  readonly exited: Promise<ContainerExit>;
  /** The end of what it wrote to stdout and stderr. */
  readonly said: () => string;
  terminate(): void;
  /** Everything of it at once. */
  kill(): void;
}

/** Kills the group as soon as whoever started it is gone, by descriptor 3, which closes then. */
const guard = '(read -r _ <&3; kill -9 0) & exec "$@" 3<&-';
const signals: Readonly<Record<string, number>> = { SIGTERM: 15, SIGKILL: 9, SIGINT: 2, SIGSEGV: 11 };
const keptCharacters = 100_000;

/** @param argv its program, found by the PATH of `env`, and arguments */
export function startContainer(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): ContainerProcess {
  const child = spawn('/bin/sh', ['-c', guard, 'sh', ...argv], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-keptCharacters);
    });
  }
  child.stdio[3]?.on('error', () => {});
  const send = (to: number, signal: 'SIGTERM' | 'SIGKILL') => {
    try {
      process.kill(to, signal);
    } catch {
      // It has ended already.
    }
  };
  const { pid } = child;
  const kill = () => {
    if (pid !== undefined) send(-pid, 'SIGKILL');
  };
  const exited = new Promise<ContainerExit>((resolve) => {
    child.once('exit', (code, signal) => {
      kill();
      child.stdio[3]?.destroy();
      resolve(code ?? 128 + (signals[signal ?? ''] ?? 0));
    });
    child.once('error', (error) => {
      said = `${said}${error.message}\n`;
      // As containerd says of a program that is not there.
      if (pid === undefined) resolve(128);
    });
  });
  return {
    exited,
    said: () => said,
    terminate() {
      if (pid !== undefined) send(pid, 'SIGTERM');
    },
    kill,
  };
}

const portsGiven = new Set<number>();

/** A port for a pod: below those that systems take for outgoing connections, and beside those of services/ports/fleet. */
export async function podPort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = randomInt(10_000, 20_000);
    if (portsGiven.has(port)) continue;
    portsGiven.add(port);
    if (await canListen(port)) return port;
  }
  throw new Error('No free port was found between 10000 and 20000 on 127.0.0.1');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
