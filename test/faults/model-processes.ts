import { spawnSync } from 'node:child_process';
import { processesIn } from '../support/processes.ts';

/**
 * Ids of a home's Cog servers, or of the workers that they run models in; not of the shell that watches each group, as
 * nothing but our own code kills that.
 */
export function modelProcesses(home: string, part: 'server' | 'worker'): readonly number[] {
  const pids = processesIn(home);
  if (pids.length === 0) return [];
  const { stdout } = spawnSync('ps', ['-o', 'pid=,pgid=,stat=,comm=', '-p', pids.join(',')], {
    encoding: 'utf8',
  });
  return stdout.split('\n').flatMap((line) => {
    const [pid, group, state, command] = line.trim().split(/\s+/);
    if (command === undefined || state?.startsWith('Z')) return [];
    const isServer = pid === group;
    if (part === 'server') return isServer ? [Number(pid)] : [];
    return isServer || /(^|\/)(ba|da)?sh$/.test(command) ? [] : [Number(pid)];
  });
}
