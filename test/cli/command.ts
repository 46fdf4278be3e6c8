import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { type ContractServer, token } from './contract-server.ts';

/** The file behind the `mimeo` command. */
export const bin = resolve(import.meta.dirname, '../../services/cli/mimeo.mjs');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it has printed so far. */
  readonly soFar: { stdout: string; stderr: string };
}

export interface Surroundings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly nodeOptions?: readonly string[];
}

/** Starts the command line as a process of its own, in an environment without any settings of Mimeo. */
export function start(words: readonly string[], surroundings: Surroundings = {}): Running {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [...(surroundings.nodeOptions ?? []), bin, ...words], {
    cwd: surroundings.cwd,
    env: { PATH, HOME, XDG_CONFIG_HOME: '/nonexistent', MIMEO_HOME: '/nonexistent', ...surroundings.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const soFar = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    soFar.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    soFar.stderr += text;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(surroundings.stdin ?? '');
  const ended = new Promise<Ended>((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) => done({ code, ...soFar }));
  });
  return { child, ended, soFar };
}

/** Runs the command line to its end. */
export function mimeo(words: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  return start(words, surroundings).ended;
}

/** The environment that names a server and the token that it takes. */
export function envOf(server: ContractServer): Record<string, string> {
  return { MIMEO_URL: server.url, MIMEO_API_TOKEN: token };
}

/** An empty folder that goes when the test ends. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-cli-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
