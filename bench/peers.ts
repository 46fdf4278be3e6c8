import { execFile, spawn } from 'node:child_process';
import { access, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Target } from './load.ts';
import type { LoadProcess } from './load-process.ts';
import { familyOf, treeBytes } from './memory.ts';
import { preciseClock } from './precise-clock.ts';
import { runRounds } from './rounds.ts';
import { freePort, keepOutput, type RunningServer, stop } from './servers.ts';
import { type Lateness, latenessOf, type RoundFigures, type Spread, spread } from './summary.ts';

/** The peers, at the versions that are measured; each serves the same model, `peers/*.py`, over HTTP. */
const peers = [
  {
    name: 'LitServe',
    packages: ['litserve==0.2.19'],
    command: (bin: string, folder: string) => [join(bin, 'python'), join(folder, 'litserve_noop.py')],
    env: {},
  },
  {
    name: 'BentoML',
    packages: ['bentoml==1.4.39'],
    command: (bin: string, _folder: string, port: number) => [
      ...[join(bin, 'bentoml'), 'serve', 'bentoml_noop:Noop'],
      ...['--host', '127.0.0.1', '--port', String(port)],
    ],
    env: { BENTOML_DO_NOT_TRACK: 'true' },
  },
  {
    name: 'Ray Serve',
    packages: ['ray[serve]==2.60.0'],
    command: (bin: string, folder: string) => [join(bin, 'python'), join(folder, 'ray_noop.py')],
    // https://docs.ray.io/en/latest/serve/advanced-guides/performance.html
    env: { RAY_SERVE_THROUGHPUT_OPTIMIZED: '1', RAY_USAGE_STATS_ENABLED: '0' },
  },
] as const;
type Peer = (typeof peers)[number];

const pythonFolder = join(import.meta.dirname, 'peers');
const bootTimeoutMs = 90_000;
const installTimeoutMs = 900_000;
/** How often the installing says that it goes on. */
const stillMs = 15_000;
/** How long the streaming model takes to its first token. */
const leadSeconds = 0.1;
const clientCounts = [1, 8] as const;

/** One server of the comparison. */
export interface PeerFigures {
  readonly name: string;
  readonly clients: number;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  readonly perSecond: Spread;
  /** Throughput as a ratio to bare Cog's, within rounds. */
  readonly toBare: Spread;
}

export interface PeersSummary {
  readonly figures: readonly PeerFigures[];
  /** All processes of each server after the load. */
  readonly memoryBytes: Readonly<Record<string, number>>;
  /** From the model's yield of its first token to its arrival. */
  readonly firstToken: Readonly<Record<string, Lateness>>;
  /** Peers that could not be measured, and why. */
  readonly missing: readonly { readonly name: string; readonly reason: string }[];
}

interface Side {
  readonly name: string;
  readonly target: Target;
  readonly pid: number;
}

/** Bare Cog, Mimeo and its peers under the same load, in turns. A peer that cannot be had is left out. */
export async function measurePeers(options: {
  readonly bare: Side;
  readonly mimeo: Side;
  readonly folder: string;
  readonly python: string;
  readonly load: LoadProcess;
  readonly rounds: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
}): Promise<{ readonly summary: PeersSummary; readonly mimeoPredictions: number }> {
  const { bare, mimeo, folder, python, load, rounds, seconds, say } = options;
  const started: (Side & RunningServer)[] = [];
  const missing: { readonly name: string; readonly reason: string }[] = [];
  try {
    for (const peer of peers) {
      try {
        const bin = await install(peer, { folder, python, say });
        say(`Starting ${peer.name}`);
        const server = await startPeer(peer, bin);
        started.push({
          ...server,
          name: peer.name,
          target: { kind: 'peer', url: server.url, path: '/noop' },
        });
      } catch (error) {
        const reason = (error instanceof Error ? error.message : String(error)).trim();
        missing.push({ name: peer.name, reason });
        say(`${peer.name} is left out: ${reason}`);
      }
    }
    const sides: readonly Side[] = [bare, mimeo, ...started];
    const figures: PeerFigures[] = [];
    let mimeoPredictions = 0;
    for (const clients of clientCounts) {
      const measured = await runRounds(load, { sides, clients, rounds, seconds, say });
      mimeoPredictions += measured.mimeoPredictions;
      for (const [index, { name }] of sides.entries())
        figures.push(figuresOfSide(name, clients, measured.rounds, index));
    }
    const memoryBytes = Object.fromEntries(sides.map(({ name, pid }) => [name, treeBytes(pid)]));
    const firstToken: Record<string, Lateness> = {};
    for (const { name, url } of started) firstToken[name] = await firstTokens(url, rounds);
    return { summary: { figures, memoryBytes, firstToken, missing }, mimeoPredictions };
  } finally {
    await Promise.all(started.map((server) => server.close()));
  }
}

/** @param rounds by their sides, the first of which is bare Cog */
export function figuresOfSide(
  name: string,
  clients: number,
  rounds: readonly (readonly RoundFigures[])[],
  side: number,
): PeerFigures {
  const of = (value: (own: RoundFigures, bare: RoundFigures) => number): Spread =>
    spread(
      rounds.flatMap((round) => {
        const [own, bare] = [round[side], round[0]];
        return own && bare ? [value(own, bare)] : [];
      }),
    );
  return {
    name,
    clients,
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    perSecond: of(({ perSecond }) => perSecond),
    toBare: of((own, bare) => own.perSecond / bare.perSecond),
  };
}

/** @returns the `bin` folder of the peer's environment, made once for each version */
async function install(
  { name, packages }: Peer,
  options: { readonly folder: string; readonly python: string; readonly say: (line: string) => void },
): Promise<string> {
  const { folder, python, say } = options;
  const path = join(folder, packages.join('+').replace(/[^\w.=+-]/g, '_'));
  const bin = join(path, 'bin');
  const marker = join(path, '.complete');
  if (await isThere(marker)) return bin;
  await rm(path, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const begun = performance.now();
  say(`Installing ${packages.join(' ')} for ${name}, which takes minutes`);
  const still = setInterval(
    () => say(`  still installing ${name}, ${Math.round((performance.now() - begun) / 1000)} s`),
    stillMs,
  );
  try {
    const run = promisify(execFile);
    await run(python, ['-m', 'venv', path]);
    const quiet = ['--quiet', '--disable-pip-version-check', '--no-input'];
    await run(join(bin, 'pip'), ['install', ...quiet, ...packages], { timeout: installTimeoutMs });
  } finally {
    clearInterval(still);
  }
  await writeFile(marker, '');
  return bin;
}

async function startPeer(peer: Peer, bin: string): Promise<RunningServer> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const [command = '', ...args] = peer.command(bin, pythonFolder, port);
  const child = spawn(command, args, {
    cwd: pythonFolder,
    env: {
      ...process.env,
      ...peer.env,
      PATH: `${bin}:${process.env.PATH ?? ''}`,
      PORT: String(port),
      PYTHONDONTWRITEBYTECODE: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = keepOutput(child);
  const close = async () => {
    // Not all of them take their workers along.
    const family = child.pid === undefined ? [] : familyOf(child.pid);
    await stop(child);
    for (const pid of family) killIfThere(pid);
  };
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  failed.catch(() => {});
  try {
    const until = performance.now() + bootTimeoutMs;
    const isUp = async () => {
      const headers = { 'content-type': 'application/json' };
      const init = { method: 'POST', headers, body: '{"text":"boot"}', signal: AbortSignal.timeout(5000) };
      const response = await fetch(`${url}/noop`, init).catch(() => undefined);
      await response?.text().catch(() => undefined);
      return response?.ok === true;
    };
    while (!(await Promise.race([isUp(), failed]))) {
      if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}`);
      if (performance.now() > until) throw new Error(`no answer within ${bootTimeoutMs / 1000} s`);
      await delay(100);
    }
    return { url, pid: child.pid ?? 0, close };
  } catch (error) {
    await close();
    throw new Error(`it did not start: ${error instanceof Error ? error.message : error}\n${printed()}`);
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** How late the first token of a stream comes, as in the streams of Mimeo's own. */
async function firstTokens(url: string, rounds: number): Promise<Lateness> {
  const late: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const now = preciseClock();
    const response = await fetch(`${url}/clock`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ lead: leadSeconds }),
    });
    if (!response.ok || !response.body) throw new Error(`A stream was answered ${response.status}`);
    let at: number | undefined;
    let text = '';
    for await (const bytes of response.body) {
      at ??= now();
      text += Buffer.from(bytes).toString();
    }
    const yielded = Number(/\d{10,}(\.\d+)?/.exec(text)?.[0]);
    if (at === undefined || Number.isNaN(yielded)) throw new Error(`A stream came as ${text.slice(0, 200)}`);
    if (round > 0) late.push(at - yielded);
  }
  return latenessOf(late);
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
