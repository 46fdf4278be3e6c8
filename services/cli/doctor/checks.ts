import { homedir } from 'node:os';
import { join } from 'node:path';

/** One thing that was looked at. */
export interface Finding {
  readonly name: string;
  /** `fail`: something does not work until it is mended. `warn`: it works, though not as it might. */
  readonly level: 'ok' | 'warn' | 'fail';
  /** What was found, with its version. */
  readonly found: string;
  /** What to do about it: a command to paste, or a sentence. */
  readonly mend?: string;
}

/** What the probes saw, raw; the checks below judge it. */
export interface Probed {
  readonly node: { readonly version: string; readonly path: string };
  readonly python: PythonProbe;
  /** Its version; null where there is none. */
  readonly uv: string | null;
  readonly disk: DiskProbe;
  readonly home: HomeProbe;
  readonly databases: readonly DatabaseProbe[];
  readonly port: PortProbe;
  readonly gpu: GpuProbe;
  /** null where no login is remembered. */
  readonly server: ServerProbe | null;
  readonly index: { readonly url: string; readonly problem: string | null };
}

/** The file system of the state folder. */
export interface DiskProbe {
  readonly home: string;
  readonly freeBytes: number;
  /** What takes room in the state folder. */
  readonly used?: readonly { readonly name: string; readonly bytes: number }[];
  /** Whether there is so much that not all of it was counted. */
  readonly usedMore?: boolean;
}

export type PythonProbe =
  | { readonly path: string; readonly version: string; readonly hasVenv: boolean }
  | { readonly problem: string };

export interface HomeProbe {
  readonly path: string;
  readonly exists: boolean;
  /** Of the folder, or of the nearest one above it that is there. */
  readonly writable: boolean;
  /** That folder. */
  readonly nearest: string;
}

export interface DatabaseProbe {
  readonly path: string;
  readonly state: 'absent' | 'intact' | 'in-use' | 'damaged';
  readonly message?: string;
}

export interface PortProbe {
  readonly port: number;
  /** `other`: some program listens there that is no Mimeo. `refused`: this user may not listen there. */
  readonly state: 'free' | 'mimeo' | 'other' | 'refused';
}

export type GpuProbe =
  | { readonly state: 'none' }
  | { readonly state: 'broken'; readonly message: string }
  | {
      readonly state: 'there';
      readonly gpus: readonly { readonly name: string; readonly memory: string; readonly driver: string }[];
    };

export interface ServerProbe {
  readonly url: string;
  readonly isLoopback: boolean;
  readonly state: 'ok' | 'refused' | 'unreachable';
  /** The account that the token is of, or why not. */
  readonly message: string;
}

const mib = 1024 ** 2;
const gib = 1024 ** 3;
/** An environment with an ordinary machine-learning package takes a few GiB. */
const littleDiskBytes = 5 * gib;
const noDiskBytes = 0.5 * gib;

/** Judges everything that was probed, in the order in which it is needed. */
export function diagnose(probed: Probed): readonly Finding[] {
  const python = checkPython(probed.python, probed.uv !== null);
  return [
    checkNode(probed.node),
    python,
    checkUv(probed.uv),
    checkDisk(probed.disk),
    checkHome(probed.home),
    ...probed.databases.map(checkDatabase),
    checkPort(probed.port),
    checkGpu(probed.gpu),
    checkServer(probed.server),
    checkIndex(probed.index),
  ];
}

function checkNode({ version, path }: Probed['node']): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const found = `${version} (${path})`;
  if (major > 22 || (major === 22 && minor >= 18)) return { name: 'Node', level: 'ok', found };
  return {
    name: 'Node',
    level: 'fail',
    found: `${found}; Mimeo needs 22.18 or newer`,
    mend: 'npm install    # in the folder of Mimeo: it brings Node 24 along',
  };
}

function checkPython(python: PythonProbe, hasUv: boolean): Finding {
  if ('problem' in python) {
    return {
      name: 'Python',
      level: 'fail',
      found: python.problem,
      mend: 'sudo apt install python3 python3-venv    # macOS: brew install python',
    };
  }
  const found = `${python.version} (${python.path})`;
  if (python.hasVenv) return { name: 'Python', level: 'ok', found };
  return {
    name: 'Python',
    level: hasUv ? 'ok' : 'fail',
    found: `${found}, without the module venv${hasUv ? '; uv makes the environments' : ''}`,
    ...(!hasUv && { mend: 'sudo apt install python3-venv    # or install uv: pip install uv' }),
  };
}

function checkUv(version: string | null): Finding {
  const found = version ?? 'not there; pip makes the environments, which takes longer (pip install uv)';
  return { name: 'uv', level: 'ok', found };
}

function checkDisk({ home, freeBytes, used, usedMore }: DiskProbe): Finding {
  const found = `${(freeBytes / gib).toFixed(1)} GiB free at ${home}${describeUsed(used ?? [], usedMore)}`;
  if (freeBytes >= littleDiskBytes) return { name: 'disk', level: 'ok', found };
  return {
    name: 'disk',
    level: freeBytes < noDiskBytes ? 'fail' : 'warn',
    found: `${found}; environments with large packages take several`,
    mend: `du -sh ${quote(home)}/*    # environments/ can be removed while Mimeo is stopped: they are made anew when a model runs`,
  };
}

/** `, 1.4 GiB used (environments 1.3 GiB, objects 80 MiB)`: the largest first. */
function describeUsed(used: NonNullable<DiskProbe['used']>, isMore = false): string {
  const shown = used.filter(({ bytes }) => bytes >= mib).toSorted((a, b) => b.bytes - a.bytes);
  if (shown.length === 0) return '';
  const sum = used.reduce((total, { bytes }) => total + bytes, 0);
  const parts = shown.map(({ name, bytes }) => `${name} ${formatBytes(bytes)}`).join(', ');
  return `, ${isMore ? 'more than ' : ''}${formatBytes(sum)} used (${parts})`;
}

function formatBytes(bytes: number): string {
  return bytes < gib ? `${Math.round(bytes / mib)} MiB` : `${(bytes / gib).toFixed(1)} GiB`;
}

function checkHome({ path, exists, writable, nearest }: HomeProbe): Finding {
  const name = 'state folder';
  if (writable) return { name, level: 'ok', found: exists ? path : `${path} (the first start makes it)` };
  return {
    name,
    level: 'fail',
    found: `${path}: ${nearest} cannot be written by this user`,
    mend:
      nearest === path
        ? `sudo chown -R "$(id -un)" ${quote(path)}    # or another folder: MIMEO_HOME=~/mimeo npm start`
        : `MIMEO_HOME=${join(homedir(), 'mimeo')} npm start`,
  };
}

function checkDatabase({ path, state, message }: DatabaseProbe): Finding {
  const name = 'database';
  switch (state) {
    case 'absent':
      return { name, level: 'ok', found: `${path} (the first start makes it)` };
    case 'intact':
      return { name, level: 'ok', found: `${path} is intact` };
    case 'in-use':
      return { name, level: 'ok', found: `${path} is held by a running Mimeo` };
    case 'damaged':
      return {
        name,
        level: 'fail',
        found: `${path}: ${message ?? 'it is damaged'}`,
        mend: `for f in ${quote(path)}*; do mv "$f" "$f.damaged"; done    # stop Mimeo first, then put your backup there`,
      };
  }
}

function checkPort({ port, state }: PortProbe): Finding {
  const name = 'port';
  if (state === 'mimeo') return { name, level: 'ok', found: `${port} is held by a running Mimeo` };
  if (state === 'free') return { name, level: 'ok', found: `${port} is free; nothing runs (npm start)` };
  const above = port < 1024 ? 8080 : port + 1;
  return {
    name,
    level: 'fail',
    found: state === 'other' ? `${port} is held by another program` : `${port} may not be used by this user`,
    mend: `MIMEO_PORT=${above} npm start`,
  };
}

function checkGpu(gpu: GpuProbe): Finding {
  if (gpu.state === 'none') return { name: 'GPU', level: 'ok', found: 'none; models run on the CPU' };
  if (gpu.state === 'broken') {
    const mend = 'nvidia-smi    # says what is wrong; after a driver update the machine has to be restarted';
    return { name: 'GPU', level: 'warn', found: `nvidia-smi fails: ${gpu.message}`, mend };
  }
  const found = gpu.gpus.map(({ name, memory, driver }) => `${name}, ${memory}, driver ${driver}`).join('; ');
  return { name: 'GPU', level: 'ok', found };
}

function checkServer(server: ServerProbe | null): Finding {
  const name = 'login';
  if (!server) {
    return { name, level: 'ok', found: 'none; commands talk to the server on this machine' };
  }
  const { url, state, message } = server;
  if (state === 'ok') return { name, level: 'ok', found: `${url} as ${message}` };
  if (state === 'refused') {
    return { name, level: 'fail', found: message, mend: `npx mimeo login ${url}` };
  }
  return {
    name,
    level: server.isLoopback ? 'warn' : 'fail',
    found: `${url} does not answer (${message})`,
    mend: server.isLoopback
      ? 'npm start'
      : `curl -sS ${url}/healthz    # or name another server: npx mimeo login URL`,
  };
}

function checkIndex({ url, problem }: Probed['index']): Finding {
  const name = 'packages';
  if (problem === null) return { name, level: 'ok', found: `${url} answers` };
  return {
    name,
    level: 'warn',
    found: `${url} does not answer (${problem}); new environments cannot be made, those that are there work`,
    mend: `curl -sSI ${quote(url)}    # behind a proxy set HTTPS_PROXY, with a mirror PIP_INDEX_URL`,
  };
}

/** A path as a shell takes it. */
function quote(text: string): string {
  return /^[\w./:~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
