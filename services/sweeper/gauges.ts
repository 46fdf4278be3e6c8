import type { MeasuredLines } from '../core/log-lines.ts';
import type { Instance, Pool } from '../core/pool.ts';
import { isStarting } from '../core/scaling-memory.ts';
import type { Jobs } from '../data/jobs.ts';
import type { Pools } from '../data/pools.ts';

/** Pools that are read together. */
const poolsAtOnce = 8;
const minuteMs = 60_000;

/** What the platform is like at one moment. */
export interface Gauges {
  /** One for each hardware that has an active pool. */
  readonly hardware: readonly MeasuredLines['hardware was counted'][];
  /** Instances that became ready in the whole minute before this one: each in one round of a minute. */
  readonly coldStarts: readonly MeasuredLines['an instance became ready'][];
}

interface PoolGauges {
  readonly pool: Pool;
  readonly instances: readonly Instance[];
  readonly oldestQueuedSeconds: number;
}

/**
 * Reads how long jobs wait and how many instances there are.
 * @param isTimeUp asked before each group of pools; what is left then is not counted
 */
export async function readGauges(
  parts: { readonly pools: Pools; readonly jobs: Jobs },
  now: number,
  isTimeUp: () => boolean,
): Promise<Gauges> {
  const active = await parts.pools.active(now);
  const read: PoolGauges[] = [];
  for (let start = 0; start < active.length && !isTimeUp(); start += poolsAtOnce) {
    const some = active.slice(start, start + poolsAtOnce);
    read.push(...(await Promise.all(some.map(async (pool) => readPool(parts, pool, now)))));
  }
  const byHardware = Map.groupBy(read, ({ pool }) => pool.hardware);
  return {
    hardware: [...byHardware].map(([hardware, pools]) => ({
      hardware,
      instances: pools.flatMap(({ instances }) => instances.filter(isUp)).length,
      oldestQueuedSeconds: Math.max(...pools.map(({ oldestQueuedSeconds }) => oldestQueuedSeconds)),
    })),
    coldStarts: read.flatMap((one) => coldStartsOf(one, now)),
  };
}

async function readPool(
  { pools, jobs }: { readonly pools: Pools; readonly jobs: Jobs },
  pool: Pool,
  now: number,
): Promise<PoolGauges> {
  const [state, [oldest]] = await Promise.all([
    pools.state(pool.id),
    jobs.unfinished(pool.id, 'queued', { limit: 1 }),
  ]);
  const oldestQueuedSeconds = oldest ? Math.max(0, now - oldest.createdAt) / 1000 : 0;
  return { pool, instances: state?.instances ?? [], oldestQueuedSeconds };
}

function isUp(instance: Instance): boolean {
  return instance.phase === 'ready' || isStarting(instance);
}

function coldStartsOf({ pool, instances }: PoolGauges, now: number): Gauges['coldStarts'] {
  const end = Math.floor(now / minuteMs) * minuteMs;
  return instances.flatMap(({ startedAt, readyAt }) => {
    if (readyAt === null || readyAt < end - minuteMs || readyAt >= end) return [];
    return [
      { hardware: pool.hardware, pool: pool.id, coldStartSeconds: Math.max(0, readyAt - startedAt) / 1000 },
    ];
  });
}
