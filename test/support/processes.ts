import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { sep } from 'node:path';

/** Ids of the live processes that work in `folder` or were started from it: a home's model servers and workers. */
export function processesIn(folder: string): readonly number[] {
  return existsSync('/proc/self/cwd') ? processesByCwd(folder) : processesByCommand(folder);
}

/** Those that still run. One that has ended and that nobody has asked how (a zombie) does not. */
export function running(pids: readonly number[]): readonly number[] {
  if (pids.length === 0) return [];
  const { stdout } = spawnSync('ps', ['-o', 'pid=,stat=', '-p', pids.join(',')], { encoding: 'utf8' });
  const lines = stdout.split('\n').map((line) => line.trim().split(/\s+/));
  return lines.flatMap(([pid, state]) => (state === undefined || state.startsWith('Z') ? [] : [Number(pid)]));
}

function processesByCwd(folder: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => cwdOf(pid)?.startsWith(`${folder}${sep}`)).map(Number);
}

function cwdOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // It has ended, or is not ours.
    return undefined;
  }
}

function processesByCommand(folder: string): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => line.includes(`${folder}${sep}`)).map((line) => Number.parseInt(line, 10));
}
