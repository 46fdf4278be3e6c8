import type { PoolScaler, Scaler } from '../scaler.ts';
import type { Workload } from '../workload.ts';

/** Always on: each pool has a number of instances from the first moment to the last. */
export function fixedScaler(name: string, about: string, counts: readonly number[]): Scaler {
  return {
    name,
    about,
    pace: { by: 'ticks', everyMs: 3_600_000, atOnceFromZero: false },
    stopsBooting: false,
    initial: (pool) => counts[pool] ?? 0,
    open: (pool): PoolScaler => ({ look: () => ({ replicas: counts[pool] ?? 0, reviewAt: null }) }),
  };
}

/** Fewest slots of each pool with which a share of its jobs waits no longer than `waitMs`; at least one, at most `most`. */
export function slotsForWait(
  workload: Workload,
  { share, waitMs, most }: { readonly share: number; readonly waitMs: number; readonly most: number },
): readonly number[] {
  return jobsByPool(workload).map((jobs) => {
    let [low, high] = [1, most];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (waitOf(workload, jobs, middle, share) <= waitMs) high = middle;
      else low = middle + 1;
    }
    return low;
  });
}

/** Most jobs of each pool that run at a time where none waits. */
export function peakSlots(workload: Workload): readonly number[] {
  return jobsByPool(workload).map((jobs) => {
    const { arrivalMs, runMs } = workload;
    const ends = Float64Array.from(jobs, (job) => (arrivalMs[job] ?? 0) + (runMs[job] ?? 0)).sort();
    let ended = 0;
    let peak = 0;
    jobs.forEach((job, at) => {
      while (ended < at && (ends[ended] ?? 0) <= (arrivalMs[job] ?? 0)) ended += 1;
      peak = Math.max(peak, at + 1 - ended);
    });
    return peak;
  });
}

function jobsByPool({ pools, pool }: Workload): readonly Uint32Array[] {
  const counts = new Uint32Array(pools.length);
  for (const index of pool) counts[index] = (counts[index] ?? 0) + 1;
  const jobs = pools.map((_, index) => new Uint32Array(counts[index] ?? 0));
  const filled = new Uint32Array(pools.length);
  pool.forEach((index, job) => {
    const place = filled[index] ?? 0;
    filled[index] = place + 1;
    const list = jobs[index];
    if (list) list[place] = job;
  });
  return jobs;
}

/** The wait below which a share of jobs stays, with so many slots that are always there and one queue. */
function waitOf({ arrivalMs, runMs }: Workload, jobs: Uint32Array, slots: number, share: number): number {
  // When each slot is free, the soonest at the root of a heap.
  const free = new Float64Array(slots);
  const waits = new Float64Array(jobs.length);
  jobs.forEach((job, at) => {
    const begins = Math.max(arrivalMs[job] ?? 0, free[0] ?? 0);
    waits[at] = begins - (arrivalMs[job] ?? 0);
    sinkRoot(free, begins + (runMs[job] ?? 0));
  });
  waits.sort();
  return waits[Math.min(waits.length - 1, Math.floor(share * waits.length))] ?? 0;
}

function sinkRoot(heap: Float64Array, value: number): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
    if ((heap[child] ?? 0) >= value) break;
    heap[at] = heap[child] ?? 0;
    at = child;
  }
  heap[at] = value;
}
