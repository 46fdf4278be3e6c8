import { afterSetups, type Breaker, closedBreaker, type SetupFailure } from './breaker.ts';
import type { Instance } from './pool.ts';
import { type RecentNeed, unknownNeed } from './recent-need.ts';

/** Setup times that are remembered of a pool. */
const rememberedSetups = 20;

/** What scaling knows of a pool's past. Handed in and out, so that the decision stays a pure function. */
export interface ScalingMemory {
  readonly breaker: Breaker;
  /** Seconds from start to ready of recent instances, newest last. */
  readonly setupSeconds: readonly number[];
  /** Ids of instances that were booting when last seen. */
  readonly booting: readonly string[];
  /** Ids of instances that are still there and whose setup has been counted. */
  readonly counted: readonly string[];
  readonly recentNeed: RecentNeed;
}

export const emptyMemory: ScalingMemory = {
  breaker: closedBreaker,
  setupSeconds: [],
  booting: [],
  counted: [],
  recentNeed: unknownNeed,
};

/** Whether an instance is on its way to serving. */
export function isStarting({ phase }: Instance): boolean {
  return phase === 'node' || phase === 'image' || phase === 'weights' || phase === 'setup';
}

/** The memory after a look at a pool's instances: each setup is counted once, as a success or a failure. */
export function remember(memory: ScalingMemory, instances: readonly Instance[], now: number): ScalingMemory {
  const alreadyCounted = new Set(memory.counted);
  const present = new Set(instances.map(({ id }) => id));
  const booting: string[] = [];
  const counted: string[] = [];
  const seconds: number[] = [];
  const failed: SetupFailure[] = [];
  for (const instance of instances) {
    if (isStarting(instance)) {
      booting.push(instance.id);
      continue;
    }
    counted.push(instance.id);
    if (alreadyCounted.has(instance.id)) continue;
    if (instance.readyAt !== null) seconds.push((instance.readyAt - instance.startedAt) / 1000);
    else if (instance.phase === 'failed') failed.push(failureOf(instance));
  }
  // Nothing stops a booting instance on purpose: one that is gone has failed unseen.
  for (const id of memory.booting) if (!present.has(id)) failed.push(vanished);
  return {
    breaker: afterSetups(memory.breaker, { succeeded: seconds.length, failed }, now),
    setupSeconds: [...memory.setupSeconds, ...seconds].slice(-rememberedSetups),
    booting,
    counted,
    recentNeed: memory.recentNeed,
  };
}

const vanished: SetupFailure = {
  code: 'platform_error',
  message: 'The instance went away while it was starting.',
  setupLogs: '',
};

function failureOf({ failure, setupLogs }: Instance): SetupFailure {
  return {
    code: failure?.code ?? 'setup_failed',
    message: failure?.message ?? 'The instance ended while it was starting and gave no reason.',
    setupLogs,
  };
}
