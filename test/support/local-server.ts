import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { expect, vi } from 'vitest';
import { packFolder } from '../../services/registrar/pack.ts';
import { processesIn } from './processes.ts';

const root = resolve(import.meta.dirname, '../..');
/** A Python environment takes many seconds to make, so all test homes share them. */
const environments = join(root, '.cache/test-environments');
/** A start that takes longer has failed. Only the first of all, which makes an environment, comes near. */
const startTimeoutMs = 180_000;

export interface Ended {
  /** null where a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The platform as a process of its own. */
interface ServerProcess {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<Ended>;
  /** Asks it to stop, and waits until it has. */
  stop(signal?: 'SIGINT' | 'SIGTERM'): Promise<Ended>;
  /** kill -9 */
  kill(): Promise<Ended>;
}

/** A platform as its clients reach it, wherever it runs. */
export interface PlatformClient {
  readonly url: string;
  readonly token: string;
  /** Pushes a folder under `test/models` or `examples` and gives its version's id. */
  push(folder: string, name?: string): Promise<{ readonly model: string; readonly version: string }>;
  /** A call of the HTTP API; `body` is sent as JSON. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** A call of the HTTP API whose answer has to be 2xx, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: -- tests read what they expect from the answer
  json(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<any>;
  /** A prediction once it has ended. */
  // biome-ignore lint/suspicious/noExplicitAny: -- as above
  endOf(id: string): Promise<any>;
}

/** The platform once it is ready. */
export interface LocalServer extends ServerProcess, PlatformClient {
  /** From the start of the process until it said that it is ready. */
  readonly readyMs: number;
}

/** What a suite is run against; `stop` leaves nothing behind. */
export interface RunningPlatform extends PlatformClient {
  stop(): Promise<unknown>;
}

/** Starts a platform of its own for a suite. */
export type StartPlatform = (env?: Readonly<Record<string, string>>) => Promise<RunningPlatform>;

/** The platform on this machine, in a home of its own. */
export const startLocalPlatform: StartPlatform = async (env) => {
  const home = await newHome();
  const server = await home.start(env);
  return { ...server, stop: async () => home.remove() };
};

/** A folder of state for the platform, and what was started on it. */
export interface TestHome {
  readonly path: string;
  /** Starts the platform and waits until it is ready. */
  start(env?: Readonly<Record<string, string>>): Promise<LocalServer>;
  /** What is started from now on is of the release whose sources are in `root`. */
  useSources(root: string): void;
  /** Starts the platform and waits for nothing. */
  launch(env?: Readonly<Record<string, string>>): ServerProcess;
  /** Ends whatever still runs, and removes the folder. */
  remove(): Promise<void>;
}

/** A new state folder; `remove` it when the test ends. */
export async function newHome(
  options: {
    readonly ownEnvironments?: boolean;
    /** @default the system's folder for temporary files */
    readonly parent?: string;
  } = {},
): Promise<TestHome> {
  const path = await realpath(await mkdtemp(join(options.parent ?? tmpdir(), 'mimeo-home-')));
  if (!options.ownEnvironments) {
    await mkdir(environments, { recursive: true });
    await symlink(environments, join(path, 'environments'));
  }
  const children: ServerProcess[] = [];
  let sources = root;
  const launch = (env: Readonly<Record<string, string>> = {}) => {
    const child = watch(
      spawn(process.execPath, [join(sources, 'services/local/main.ts')], {
        cwd: sources,
        env: { ...process.env, MIMEO_PORT: '0', MIMEO_HOME: path, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    children.push(child);
    return child;
  };
  return {
    path,
    launch,
    useSources(folder) {
      sources = folder;
    },
    start: async (env) => ready(launch(env), path),
    async remove() {
      await Promise.all(children.map((child) => child.kill()));
      for (const pid of processesIn(path)) killQuietly(pid);
      await rm(path, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function watch(child: ChildProcess): ServerProcess {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  const ended = new Promise<Ended>((done, fail) => {
    child.on('error', fail);
    child.on('close', (code, signal) => done({ code, signal, ...said }));
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('The platform could not be started');
  const send = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return await ended;
  };
  return {
    pid,
    ended,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    stop: async (signal = 'SIGTERM') => send(signal),
    kill: async () => send('SIGKILL'),
  };
}

async function ready(child: ServerProcess, home: string): Promise<LocalServer> {
  const startedAt = performance.now();
  const url = await readyUrl(child);
  const readyMs = performance.now() - startedAt;
  const token = (await readFile(join(home, 'token'), 'utf8')).trim();
  return {
    ...child,
    ...callsOf({ url, token }),
    url,
    token,
    readyMs,
    push: async (folder, name = folder.split('/').at(-1)) => push({ url, token }, folder, `local/${name}`),
  };
}

/** Calls of the public API. */
export function callsOf({
  url,
  token,
}: Pick<PlatformClient, 'url' | 'token'>): Pick<PlatformClient, 'call' | 'json' | 'endOf'> {
  const call: LocalServer['call'] = async (method, path, body, headers = {}) =>
    fetch(path.startsWith('http') ? path : `${url}/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  const json: LocalServer['json'] = async (method, path, body, headers) => {
    const response = await call(method, path, body, headers);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  return {
    call,
    json,
    endOf: async (id) =>
      await vi.waitFor(
        async () => {
          const prediction = await json('GET', `/predictions/${id}`);
          expect(prediction.completed_at).not.toBeNull();
          return prediction;
        },
        { timeout: 50_000, interval: 20 },
      ),
  };
}

async function readyUrl(child: ServerProcess): Promise<string> {
  const failed = child.ended.then(({ code, stderr, stdout }) => {
    throw new Error(`The server ended with code ${code} before it was ready:\n${stdout}\n${stderr}`);
  });
  const until = performance.now() + startTimeoutMs;
  while (performance.now() < until) {
    const url = /Mimeo is ready on (\S+)/.exec(child.stdout())?.[1];
    if (url !== undefined) return url;
    await Promise.race([failed, new Promise((done) => setTimeout(done, 10))]);
  }
  throw new Error(`The server was not ready in time:\n${child.stdout()}\n${child.stderr()}`);
}

async function push(
  { url, token }: { readonly url: string; readonly token: string },
  folder: string,
  model: string,
): Promise<{ readonly model: string; readonly version: string }> {
  const [owner, name] = model.split('/');
  const headers = { authorization: `Bearer ${token}` };
  await fetch(`${url}/v1/models`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ owner, name, visibility: 'private', hardware: 'cpu' }),
  });
  const { stream } = await packFolder(join(root, folder));
  const response = await fetch(`${url}/v1/models/${model}/versions`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/gzip' },
    body: Readable.toWeb(stream) as ReadableStream<Uint8Array>,
    duplex: 'half',
  });
  if (!response.ok || !response.body)
    throw new Error(`${model}: ${response.status} ${await response.text()}`);
  for await (const line of createInterface({ input: Readable.fromWeb(response.body as never) })) {
    if (line.trim() === '') continue;
    const step = JSON.parse(line) as { type: string; version?: { id: string }; problem?: { detail: string } };
    if (step.problem) throw new Error(`${model} could not be pushed: ${step.problem.detail}`);
    if (step.version) return { model, version: step.version.id };
  }
  throw new Error(`The push of ${model} ended without a version`);
}
