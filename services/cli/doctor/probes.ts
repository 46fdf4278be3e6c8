import { execFile } from 'node:child_process';
import { access, constants, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { EnvHttpProxyAgent, fetch } from 'undici';
import { z } from 'zod';
import { checkSqliteFile } from '../../ports/sqlite-check.ts';
import { findPython } from '../../registrar/python.ts';
import { accountAnswer } from '../answers.ts';
import { ApiError, Client } from '../client.ts';
import { isLoopback, mimeoFolder, rememberedServer } from '../config.ts';
import { usageError } from '../failure.ts';
import type { GpuProbe, HomeProbe, PortProbe, Probed, PythonProbe, ServerProbe } from './checks.ts';
import { measureFolder } from './disk-use.ts';

type Env = Readonly<Record<string, string | undefined>>;

const run = promisify(execFile);
/** Longest time for a program or a server that is asked something. */
const timeoutMs = 5_000;
const usualIndex = 'https://pypi.org/simple/';
const healthSchema = z.object({ status: z.literal('ok') });

/**
 * Looks at this machine, and changes nothing.
 * @throws CliError where MIMEO_PORT is no port, or the file of logins is damaged
 */
export async function probeMachine(env: Env, signal: AbortSignal): Promise<Probed> {
  const port = readPort(env.MIMEO_PORT);
  const home = await probeHome(env);
  const python = await probePython(env);
  const [uv, disk, used, portState, gpu, server, index] = await Promise.all([
    probeUv(),
    statfs(home.nearest),
    home.exists ? measureFolder(home.path) : undefined,
    probePort(port),
    probeGpu(),
    probeServer(env, signal),
    probeIndex(env, 'path' in python ? python.path : undefined),
  ]);
  return {
    node: { version: process.versions.node, path: process.execPath },
    python,
    uv,
    disk: { home: home.nearest, freeBytes: disk.bavail * disk.bsize, ...used },
    home,
    databases: ['mimeo.db', 'queue.db'].map((name) => {
      const path = join(home.path, name);
      return { path, ...checkSqliteFile(path) };
    }),
    port: portState,
    gpu,
    server,
    index,
  };
}

function readPort(text: string | undefined): number {
  const port = Number(text || '8080');
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw usageError(`MIMEO_PORT=${JSON.stringify(text)} is no port: it takes a number from 0 to 65535.`);
}

async function probeHome(env: Env): Promise<HomeProbe> {
  const here = resolve('.mimeo');
  const usual = (await can(here, constants.F_OK)) ? here : join(mimeoFolder, '.mimeo');
  const path = env.MIMEO_HOME ? resolve(env.MIMEO_HOME) : usual;
  let nearest = path;
  while (!(await can(nearest, constants.F_OK)) && nearest !== dirname(nearest)) nearest = dirname(nearest);
  const writable = await can(nearest, constants.W_OK | constants.X_OK);
  return { path, exists: nearest === path, writable, nearest };
}

async function can(path: string, mode: number): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  );
}

async function probePython(env: Env): Promise<PythonProbe> {
  return await findPython({ preferred: env.MIMEO_PYTHON || undefined }).catch((error: Error) => ({
    problem: error.message,
  }));
}

async function probeUv(): Promise<string | null> {
  return await run('uv', ['--version'], { timeout: timeoutMs }).then(
    ({ stdout }) => stdout.trim().replace(/^uv /, ''),
    () => null,
  );
}

async function probePort(port: number): Promise<PortProbe> {
  if (port === 0) return { port, state: 'free' };
  const state = await listenOnce(port);
  if (state !== 'other') return { port, state };
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(timeoutMs) })
    .then(async (response) => response.json())
    .catch(() => undefined);
  return { port, state: healthSchema.safeParse(answer).success ? 'mimeo' : 'other' };
}

async function listenOnce(port: number): Promise<'free' | 'refused' | 'other'> {
  const server = createServer();
  return await new Promise((done) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) => done(code === 'EACCES' ? 'refused' : 'other'));
    server.listen(port, '127.0.0.1', () => server.close(() => done('free')));
  });
}

async function probeGpu(): Promise<GpuProbe> {
  const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'];
  try {
    const { stdout } = await run('nvidia-smi', query, { timeout: timeoutMs });
    const gpus = stdout
      .split('\n')
      .filter((line) => line.includes(','))
      .map((line) => line.split(',').map((part) => part.trim()))
      .map(([name = '', memory = '', driver = '']) => ({ name, memory, driver }));
    return gpus.length > 0 ? { state: 'there', gpus } : { state: 'broken', message: firstLine(stdout) };
  } catch (error) {
    const { code, stdout = '', message } = error as Error & { code?: unknown; stdout?: string };
    return code === 'ENOENT'
      ? { state: 'none' }
      : { state: 'broken', message: firstLine(stdout) || firstLine(message) };
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}

async function probeServer(env: Env, signal: AbortSignal): Promise<ServerProbe | null> {
  const server = await rememberedServer(env);
  if (!server) return null;
  const about = { url: server.url, isLoopback: isLoopback(server.url) };
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    const { username } = await new Client(server).call('GET', '/account', accountAnswer, { signal: limit });
    return { ...about, state: 'ok', message: username };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ApiError) return { ...about, state: 'refused', message: error.message };
    return { ...about, state: 'unreachable', message: limit.aborted ? 'no answer in 5 s' : 'no connection' };
  }
}

async function probeIndex(env: Env, python: string | undefined): Promise<Probed['index']> {
  const configured = env.UV_DEFAULT_INDEX || env.PIP_INDEX_URL || (await pipIndex(python));
  const url = configured || usualIndex;
  // It may carry a password.
  const shown = url.replace(/\/\/[^/]*@/, '//');
  const agent = new EnvHttpProxyAgent();
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await fetch(shown, { method: 'HEAD', dispatcher: agent, signal });
    // One that asks for a password is there.
    return { url: shown, problem: response.status < 500 ? null : `HTTP ${response.status}` };
  } catch (error) {
    const { code, message } = ((error as Error).cause ?? error) as { code?: string; message: string };
    return { url: shown, problem: code ?? message };
  } finally {
    await agent.destroy();
  }
}

/** The index that pip's own configuration names. */
async function pipIndex(python: string | undefined): Promise<string | undefined> {
  if (!python) return undefined;
  const asked = run(python, ['-m', 'pip', 'config', 'get', 'global.index-url'], { timeout: timeoutMs });
  return await asked.then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}
