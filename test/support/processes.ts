import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { sep } from 'node:path';

/** Ids of the live processes that work in `folder` or were started from it: a home's model servers and workers. */
export function processesIn(folder: string): readonly number[] {
  return existsSync('/proc/self/cwd') ? processesByCwd(folder) : processesByCommand(folder);
}

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
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
