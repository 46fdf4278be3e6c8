import { type Workload, WorkloadBuilder } from '../../services/simulator/workload.ts';
import type { World } from '../../services/simulator/world.ts';

/** A world of round numbers: a machine takes 60 s, its first pull 40 s, a setup 10 s. */
export function aWorld(
  over: { machines?: Partial<World['machines']> } & Partial<Omit<World, 'machines'>> = {},
): World {
  const { machines, ...rest } = over;
  return {
    times: { nodeSeconds: 60, stoppedNodeSeconds: 20, imageGb: 4, pullMbPerSecond: 100, setupSeconds: 10 },
    concurrency: 1,
    maxInstances: 4,
    ...rest,
    machines: { slots: 1, min: 0, max: 4, stopped: 0, idleSeconds: 600, usdPerHour: 1, ...machines },
  };
}

/** Jobs as `[seconds of arrival, seconds of run]`, of one pool unless named. */
export function aWorkload(
  jobs: readonly (readonly [at: number, run: number, pool?: string])[],
  horizonSeconds?: number,
): Workload {
  const builder = new WorkloadBuilder('by hand');
  for (const [at, run, pool = 'a'] of jobs) builder.add(pool, at * 1000, run * 1000);
  return builder.build(horizonSeconds === undefined ? undefined : horizonSeconds * 1000);
}

/** In seconds. */
export function waitsOf({ waitMs }: { readonly waitMs: Float64Array }): number[] {
  return [...waitMs].map((wait) => wait / 1000);
}
