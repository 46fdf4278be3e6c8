import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { LaunchSpec } from '../../core/launch.ts';
import { serverEnvironment } from './cog-server.ts';

/** How a process ended; both null where it could not be started. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A model's server with everything that it has started. */
export interface ModelProcess {
  readonly port: number;
  /** Resolves when the server has ended; whatever it left behind is killed then. */
  readonly exited: Promise<ProcessExit>;
  /** The end of what was written to stdout and stderr. */
  readonly log: () => string;
  /** Whether the system has killed anything for want of memory since the start. False where that cannot be told. */
  readonly outOfMemory: () => boolean;
  /** Asks it to end, and kills it and all it started after `graceMs`. Resolves when all have ended. */
  stop(graceMs: number): Promise<void>;
}

/**
 * A dead man's switch: nothing ever comes through descriptor 3, whose other end only we hold, and when we are gone,
 * however that happened, the watcher kills the process group. `exec` makes the server itself the group's leader.
 */
const guard = '(read -r _ <&3; kill -9 0) & exec "$@" 3<&-';

const maxLogBytes = 8 * 1024 * 1024;
const keptLogBytes = 1024 * 1024;
const logCheckMs = 1000;
const maxDyingMs = 2000;

/** Starts a model's server on a free port of 127.0.0.1, in a process group of its own. */
export async function startModelProcess(spec: LaunchSpec, concurrency: number): Promise<ModelProcess> {
  const port = await freePort();
  const log = openLog();
  const killsBefore = outOfMemoryKills();
  const child = spawn('/bin/sh', ['-c', guard, 'sh', spec.command, ...spec.args], {
    cwd: spec.cwd,
    env: { ...serverEnvironment, ...spec.env, PORT: String(port), COG_MAX_CONCURRENCY: String(concurrency) },
    stdio: ['ignore', log.fd, log.fd, 'pipe'],
    detached: true,
  });
  const { pid } = child;
  const signal = (name: 'SIGTERM' | 'SIGKILL', whole: boolean) => {
    if (pid === undefined) return;
    try {
      process.kill(whole ? -pid : pid, name);
    } catch {
      // It has ended already.
    }
  };
  child.stdio[3]?.on('error', () => {});
  const exited = new Promise<ProcessExit>((resolve) => {
    const finish = (exit: ProcessExit) => {
      signal('SIGKILL', true);
      child.stdio[3]?.destroy();
      portsInUse.delete(port);
      log.close();
      resolve(exit);
    };
    child.once('exit', (code, name) => finish({ code, signal: name }));
    child.once('error', (error) => {
      if (pid !== undefined) return;
      writeSync(log.fd, `${error.message}\n`);
      finish({ code: null, signal: null });
    });
  });
  return {
    port,
    exited,
    log: log.tail,
    outOfMemory: () => outOfMemoryKills() > killsBefore,
    async stop(graceMs) {
      if (graceMs > 0) signal('SIGTERM', false);
      const timer = setTimeout(() => signal('SIGKILL', true), graceMs);
      await exited;
      clearTimeout(timer);
      if (pid !== undefined) await groupGone(pid);
    },
  };
}

/** Waits until the processes of a group that was killed are no more. */
async function groupGone(group: number): Promise<void> {
  const until = performance.now() + maxDyingMs;
  while (groupIsAlive(group) && performance.now() < until) await pause(5);
}

function groupIsAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
  } catch {
    return false;
  }
  // In a container whose first process buries nobody, the dead stay members of their group.
  if (!existsSync('/proc/self/stat')) return true;
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && isLiveMember(name, group));
}

function isLiveMember(pid: string, group: number): boolean {
  try {
    // `pid (command) state parent group …`; the command may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(pgrp) === group && state !== 'Z' && state !== 'X';
  } catch {
    return false;
  }
}

const portsInUse = new Set<number>();

/**
 * A port that nobody listens on now. Below the ranges from which systems take ports for outgoing connections, so that
 * none of those can take it before the server does.
 */
async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = randomInt(20_000, 32_000);
    if (portsInUse.has(port)) continue;
    portsInUse.add(port);
    if (await canListen(port)) return port;
    portsInUse.delete(port);
  }
  throw new Error('No free port was found between 20000 and 32000 on 127.0.0.1');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/**
 * A file without a name that takes a process's output: it costs nothing while nobody reads it, unlike a pipe, keeps
 * only its end, and is gone with its last user.
 */
function openLog(): { readonly fd: number; readonly tail: () => string; close(): void } {
  const path = join(tmpdir(), `mimeo-${randomBytes(12).toString('hex')}.log`);
  const fd = openSync(path, 'ax+', 0o600);
  unlinkSync(path);
  let last: string | undefined;
  const readTail = (): Buffer => {
    const { size } = fstatSync(fd);
    const tail = Buffer.alloc(Math.min(size, keptLogBytes));
    return tail.subarray(0, readSync(fd, tail, 0, tail.length, size - tail.length));
  };
  const timer = setInterval(() => {
    if (fstatSync(fd).size <= maxLogBytes) return;
    const tail = readTail();
    ftruncateSync(fd, 0);
    writeSync(fd, tail);
  }, logCheckMs);
  timer.unref();
  return {
    fd,
    tail: () => last ?? readTail().toString('utf8'),
    close() {
      last ??= readTail().toString('utf8');
      clearInterval(timer);
      closeSync(fd);
    },
  };
}

/** How many processes Linux has killed for want of memory since it started; 0 elsewhere. */
function outOfMemoryKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
