import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { type GoToolName, goToolFolder } from './go-tools.ts';

/** A program of a cluster that runs. */
export interface Program {
  readonly name: string;
  /** What it said last. */
  readonly said: () => string;
  readonly hasEnded: () => boolean;
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>;
}

/** Starts one that has been built (test/support/go-tools.ts). */
export function startProgram(name: GoToolName, args: readonly string[]): Program {
  const child: ChildProcess = spawn(join(goToolFolder(name), name), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'close').catch(() => undefined);
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said = `${said}${String(chunk)}`.slice(-4000);
  });
  child.on('error', (error) => {
    said = `${said}\n${error.message}`;
  });
  return {
    name,
    said: () => said,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined,
    async kill() {
      child.kill('SIGKILL');
      if (child.pid !== undefined) await ended;
    },
  };
}

/** A port of loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.int() }).parse(server.address());
  server.close();
  await once(server, 'close');
  return port;
}
