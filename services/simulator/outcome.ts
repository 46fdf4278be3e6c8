import { z } from 'zod';
import type { Trail } from './simulation.ts';
import type { World } from './world.ts';

const msPerHour = 3_600_000;
/** Upper ends of the waits that are counted together, in seconds; the last has none. */
const waitBins: readonly number[] = [0, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600];

const waitsSchema = z.object({
  mean: z.number(),
  p50: z.number(),
  p95: z.number(),
  p99: z.number(),
  max: z.number(),
});

/** What one way to scale came to. Times in seconds, money in USD. */
export const outcomeSchema = z.object({
  policy: z.string(),
  /** Its settings, in words. */
  about: z.string(),
  predictions: z.int(),
  waitSeconds: waitsSchema,
  /** Part of the predictions that found no instance ready. */
  coldShare: z.number(),
  /** Of waits that were foretold (`waiting.eta_seconds.p50`); null where nothing foretells. */
  eta: z
    .object({
      foretold: z.int(),
      /** Part of those for which nothing was known to foretell by. */
      unknownShare: z.number(),
      /** Difference from what came, whichever way. */
      errorSeconds: z.object({ p50: z.number(), p95: z.number() }),
    })
    .nullable(),
  machineHours: z.number(),
  /** Hours of GPUs (of machines where they have none) that are paid for. */
  gpuHoursHeld: z.number(),
  /** Hours from each instance's start to its end. */
  instanceHours: z.number(),
  /** Hours in which instances had a job. */
  busyHours: z.number(),
  /** Part of the GPU hours held in which no job ran. */
  idleShare: z.number(),
  machineUsd: z.number(),
  usdPerThousand: z.number(),
  peakInstances: z.int(),
  peakMachines: z.int(),
  /** Parts of the predictions that waited at most so long, and longer than the one before. */
  waitShares: z.array(z.object({ upToSeconds: z.number().nullable(), share: z.number() })),
  /** Of the first seed, at evenly spaced moments. */
  timeline: z.object({
    everySeconds: z.number(),
    demand: z.array(z.number()),
    instances: z.array(z.number()),
    machines: z.array(z.number()),
    /** Of the predictions created since the moment before; null where there are none. */
    waitP95Seconds: z.array(z.number().nullable()),
  }),
});
export type Outcome = z.infer<typeof outcomeSchema>;

/** Sums up the trails of one scaler over several seeds, as if they had come one after the other. */
export function summarize(
  scaler: { readonly name: string; readonly about: string },
  world: World,
  runs: readonly { readonly trail: Trail; readonly arrivalMs: Float64Array }[],
): Outcome {
  const waits = new Float64Array(total(runs, ({ trail }) => trail.waitMs.length));
  let filled = 0;
  for (const { trail } of runs) {
    waits.set(trail.waitMs, filled);
    filled += trail.waitMs.length;
  }
  waits.sort();
  const jobs = waits.length;
  const machineHours = total(runs, ({ trail }) => trail.machineMs) / msPerHour;
  const busyHours = total(runs, ({ trail }) => trail.busyMs) / msPerHour;
  const gpuHoursHeld = machineHours * world.machines.slots;
  const machineUsd = machineHours * world.machines.usdPerHour;
  const cold = total(runs, ({ trail }) => trail.cold.reduce((sum, one) => sum + one, 0));
  return {
    policy: scaler.name,
    about: scaler.about,
    predictions: jobs,
    waitSeconds: {
      mean: rounded(jobs === 0 ? 0 : waits.reduce((sum, wait) => sum + wait, 0) / jobs / 1000),
      p50: secondsAt(waits, 0.5),
      p95: secondsAt(waits, 0.95),
      p99: secondsAt(waits, 0.99),
      max: secondsAt(waits, 1),
    },
    coldShare: rounded(jobs === 0 ? 0 : cold / jobs, 6),
    eta: etaOf(runs.flatMap(({ trail }) => trail.foretold)),
    machineHours: rounded(machineHours),
    gpuHoursHeld: rounded(gpuHoursHeld),
    instanceHours: rounded(total(runs, ({ trail }) => trail.instanceMs) / msPerHour),
    busyHours: rounded(busyHours),
    idleShare: rounded(gpuHoursHeld === 0 ? 0 : Math.max(0, 1 - busyHours / gpuHoursHeld)),
    machineUsd: rounded(machineUsd, 4),
    usdPerThousand: rounded(jobs === 0 ? 0 : (machineUsd / jobs) * 1000, 4),
    peakInstances: Math.max(0, ...runs.map(({ trail }) => trail.peakInstances)),
    peakMachines: Math.max(0, ...runs.map(({ trail }) => trail.peakMachines)),
    waitShares: sharesOf(waits),
    timeline: timelineOf(runs[0]),
  };
}

function total<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((sum, one) => sum + of(one), 0);
}

/** The wait below which a share lies, of sorted waits. */
function secondsAt(sorted: Float64Array, share: number): number {
  const at = Math.min(sorted.length - 1, Math.floor(share * sorted.length));
  return rounded((sorted[at] ?? 0) / 1000);
}

function etaOf(foretold: Trail['foretold']): Outcome['eta'] {
  if (foretold.length === 0) return null;
  const errors = foretold.flatMap(({ p50, came }) => (p50 === null ? [] : [Math.abs(p50 - came) * 1000]));
  const sorted = Float64Array.from(errors).sort();
  return {
    foretold: foretold.length,
    unknownShare: rounded(1 - errors.length / foretold.length),
    errorSeconds: { p50: secondsAt(sorted, 0.5), p95: secondsAt(sorted, 0.95) },
  };
}

function sharesOf(sorted: Float64Array): Outcome['waitShares'] {
  const counts = new Array<number>(waitBins.length + 1).fill(0);
  let bin = 0;
  for (const wait of sorted) {
    while (bin < waitBins.length && wait / 1000 > (waitBins[bin] ?? 0)) bin += 1;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts.map((count, at) => ({
    upToSeconds: waitBins[at] ?? null,
    share: rounded(sorted.length === 0 ? 0 : count / sorted.length, 6),
  }));
}

function timelineOf(
  first: { readonly trail: Trail; readonly arrivalMs: Float64Array } | undefined,
): Outcome['timeline'] {
  if (!first) return { everySeconds: 0, demand: [], instances: [], machines: [], waitP95Seconds: [] };
  const { trail, arrivalMs } = first;
  const { everyMs, demand, instances, machines } = trail.timeline;
  const waitP95Seconds: (number | null)[] = [];
  let from = 0;
  for (let moment = 0; moment < demand.length; moment++) {
    let to = from;
    while (to < arrivalMs.length && (arrivalMs[to] ?? 0) <= (moment + 1) * everyMs) to += 1;
    waitP95Seconds.push(to === from ? null : secondsAt(trail.waitMs.slice(from, to).sort(), 0.95));
    from = to;
  }
  return { everySeconds: rounded(everyMs / 1000), demand, instances, machines, waitP95Seconds };
}

/** Sums of many differ in their last digits by nothing that anybody means. */
function rounded(value: number, digits = 3): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
