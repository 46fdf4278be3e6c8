import { readdirSync, readFileSync } from 'node:fs';

/** How often memory is looked at while something runs, milliseconds. */
const sampleMs = 50;

export interface MemoryUse {
  readonly beforeBytes: number;
  readonly peakBytes: number;
}

/** What a process has in memory (Linux). @throws Error where there is no /proc, or no such process */
export function residentBytes(pid: number): number {
  return kilobytesIn(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmRSS') * 1024;
}

/** A process and all that it has started, as far as they still hang together (Linux). */
export function familyOf(root: number): readonly number[] {
  const family = new Set([root]);
  // Children have higher ids, but for those made after the ids began anew: those are missed.
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  for (const pid of pids.map(Number).sort((a, b) => a - b)) {
    // `pid (command) state parent …`; the command may hold anything.
    const stat = readWhileThere(`/proc/${pid}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (family.has(parent)) family.add(pid);
  }
  return [...family];
}

/** What a process and all that it has started have in memory; what they share counts once (Linux). */
export function treeBytes(root: number): number {
  const kilobytes = familyOf(root).map((pid) =>
    kilobytesIn(readWhileThere(`/proc/${pid}/smaps_rollup`), 'Pss'),
  );
  return kilobytes.reduce((sum, value) => sum + value, 0) * 1024;
}

/** A file of a process; empty where that has ended. */
function readWhileThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Runs something and watches what a process has in memory meanwhile. */
export async function watchMemory<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly memory: MemoryUse }> {
  const beforeBytes = residentBytes(pid);
  let peakBytes = beforeBytes;
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, residentBytes(pid));
  }, sampleMs);
  try {
    const result = await work();
    return { result, memory: { beforeBytes, peakBytes: Math.max(peakBytes, residentBytes(pid)) } };
  } finally {
    clearInterval(timer);
  }
}

function kilobytesIn(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
}
