import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import packageJson from '../package.json' with { type: 'json' };
import type { LaunchSpec } from '../services/core/launch.ts';

/** How often a server that boots is asked whether it is there, milliseconds: the error of a boot's time. */
const askAgainMs = 5;
/** A server that is not there by then will not come. */
const bootTimeoutMs = 120_000;
/** Installing Cog for the first time is slow on a slow network. */
const firstStartTimeoutMs = 600_000;
/** Printed characters that are kept to say why a server did not start. */
const keptCharacters = 4000;

export interface RunningServer {
  readonly url: string;
  /** Of the process that all others of it come from. */
  readonly pid: number;
  close(): Promise<void>;
}

export interface MimeoServer extends RunningServer {
  readonly token: string;
}

/**
 * Starts a Cog server as a fleet of Mimeo's would, and waits for its first answer.
 * @returns the server and the time from its start to that answer
 */
export async function startCog(launch: LaunchSpec): Promise<RunningServer & { readonly bootMs: number }> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const begun = performance.now();
  const child = spawn(launch.command, launch.args, {
    cwd: launch.cwd,
    env: { ...launch.env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = keepOutput(child);
  try {
    await firstAnswer(url, child, begun + bootTimeoutMs);
    return { url, pid: child.pid ?? 0, bootMs: performance.now() - begun, close: async () => stop(child) };
  } catch (error) {
    await stop(child);
    throw new Error(`The bare Cog server did not start: ${String(error)}\n${printed()}`);
  }
}

async function firstAnswer(url: string, child: ChildProcess, until: number): Promise<void> {
  for (let turn = 0; performance.now() < until; turn += 1) {
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}`);
    const answer = await fetch(`${url}/predictions/boot-${turn}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"input":{}}',
    }).catch(() => undefined);
    const text = await answer?.text();
    if (answer?.status === 200) return;
    // 503 while it sets up, and 409 for a moment after.
    if (answer && answer.status !== 503 && answer.status !== 409)
      throw new Error(`it answered ${answer.status}: ${text?.slice(0, 500)}`);
    await delay(askAgainMs);
  }
  throw new Error(`no answer within ${bootTimeoutMs / 1000} s`);
}

/**
 * Starts Mimeo as `npm start` does, on a home of its own, and waits until it says that it is ready.
 * @param options.profileFolder where its CPU profile is written when it stops
 */
export async function startMimeo(options: {
  readonly home: string;
  readonly idleSeconds: number;
  readonly profileFolder?: string;
  readonly say: (line: string) => void;
}): Promise<MimeoServer> {
  const { profileFolder } = options;
  const profiling = profileFolder ? ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`] : [];
  const child = spawn(process.execPath, [...profiling, ...startArguments()], {
    env: {
      ...process.env,
      MIMEO_HOME: options.home,
      MIMEO_PORT: '0',
      // One Cog server on either side.
      MIMEO_MAX_INSTANCES: '1',
      MIMEO_IDLE_SECONDS: String(options.idleSeconds),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = keepOutput(child);
  try {
    const url = await readyUrl(child, options.say);
    const token = (await readFile(join(options.home, 'token'), 'utf8')).trim();
    return { url, pid: child.pid ?? 0, token, close: async () => stop(child) };
  } catch (error) {
    await stop(child);
    throw new Error(`Mimeo did not start: ${String(error)}\n${printed()}`);
  }
}

async function readyUrl(child: ChildProcess, say: (line: string) => void): Promise<string> {
  const left = new AbortController();
  const ready = Promise.withResolvers<string>();
  if (!child.stdout) throw new Error('its output cannot be read');
  createInterface({ input: child.stdout }).on('line', (line) => {
    const url = /^Mimeo is ready on (http:\S+)/.exec(line)?.[1];
    if (url) ready.resolve(url);
    else if (/^ {2}|^First start/.test(line) && !left.signal.aborted) say(`  mimeo: ${line.trim()}`);
  });
  const exit = once(child, 'exit', left).then(([code]) => {
    throw new Error(`it ended with code ${code}`);
  });
  const late = delay(firstStartTimeoutMs, undefined, left).then(() => {
    throw new Error(`it was not ready within ${firstStartTimeoutMs / 1000} s`);
  });
  try {
    return await Promise.race([ready.promise, exit, late]);
  } finally {
    left.abort();
  }
}

/** What `npm start` gives to node: what is measured is what a user runs. */
function startArguments(): readonly string[] {
  const [command, ...words] = packageJson.scripts.start.split(' ');
  if (command !== 'node') throw new Error(`npm start is not node but ${command}`);
  return words.map((word) => (word.endsWith('.ts') ? join(import.meta.dirname, '..', word) : word));
}

/** Removes what an earlier run has recorded; versions and installed environments stay. */
export async function freshHome(home: string): Promise<void> {
  await mkdir(home, { recursive: true });
  const databases = ['mimeo.db', 'queue.db'].flatMap((name) => [name, `${name}-wal`, `${name}-shm`]);
  await Promise.all(
    [...databases, 'objects'].map((name) => rm(join(home, name), { recursive: true, force: true })),
  );
}

/**
 * Reads what a process prints, so that it never waits for a reader.
 * @returns tells the end of it
 */
export function keepOutput(child: ChildProcess): () => string {
  let kept = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      kept = (kept + chunk.toString()).slice(-keptCharacters);
    });
  }
  return () => kept.trim();
}

/** Ends a process, by force after 10 s. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const forced = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(forced);
}

/** A port of 127.0.0.1 that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No free port was found');
  return address.port;
}
