import { afterSetups, type Breaker, closedBreaker, type SetupFailure } from './breaker.ts';
import type { Boot, Instance } from './pool.ts';
import { type RecentNeed, unknownNeed } from './recent-need.ts';

/** Setup times that are remembered of a pool. */
const rememberedSetups = 20;

/** What scaling knows of a pool's past. Handed in and out, so that the decision stays a pure function. */
export interface ScalingMemory {
  readonly breaker: Breaker;
  /** Seconds from start to ready of recent instances, newest last. */
  readonly setupSeconds: readonly number[];
  /** The same by phases, of those that were seen on their way. */
  readonly boots: readonly Boot[];
  /** Instances that were booting when last seen. */
  readonly booting: readonly Booting[];
  /** Ids of instances that are still there and whose setup has been counted. */
  readonly counted: readonly string[];
  readonly recentNeed: RecentNeed;
}

interface Booting {
  readonly id: string;
  readonly phase: keyof Boot;
  /** Epoch ms at which it came into its phase, as far as it was seen. */
  readonly since: number;
  /** Seconds that it spent in each phase before. */
  readonly spent: Boot;
}

const unspent: Boot = { node: 0, image: 0, weights: 0, setup: 0 };

export const emptyMemory: ScalingMemory = {
  breaker: closedBreaker,
  setupSeconds: [],
  boots: [],
  booting: [],
  counted: [],
  recentNeed: unknownNeed,
};

/** Whether an instance is on its way to serving. */
export function isStarting<T extends Pick<Instance, 'phase'>>(
  instance: T,
): instance is T & { readonly phase: keyof Boot } {
  return instance.phase in unspent;
}

/** The memory after a look at a pool's instances: each setup is counted once, as a success or a failure. */
export function remember(memory: ScalingMemory, instances: readonly Instance[], now: number): ScalingMemory {
  const alreadyCounted = new Set(memory.counted);
  const present = new Set(instances.map(({ id }) => id));
  const before = new Map(memory.booting.map((one) => [one.id, one]));
  const booting: Booting[] = [];
  const boots: Boot[] = [];
  const counted: string[] = [];
  const seconds: number[] = [];
  const failed: SetupFailure[] = [];
  for (const instance of instances) {
    if (isStarting(instance)) {
      booting.push(advance(before.get(instance.id), instance, now));
      continue;
    }
    counted.push(instance.id);
    if (alreadyCounted.has(instance.id)) continue;
    if (instance.readyAt !== null) {
      seconds.push((instance.readyAt - instance.startedAt) / 1000);
      const last = before.get(instance.id);
      if (last) boots.push(spend(last, instance.readyAt));
    } else if (instance.phase === 'failed') failed.push(failureOf(instance));
  }
  // Nothing stops a booting instance on purpose: one that is gone has failed unseen.
  for (const { id } of memory.booting) if (!present.has(id)) failed.push(vanished);
  return {
    breaker: afterSetups(memory.breaker, { succeeded: seconds.length, failed }, now),
    setupSeconds: [...memory.setupSeconds, ...seconds].slice(-rememberedSetups),
    boots: [...memory.boots, ...boots].slice(-rememberedSetups),
    booting,
    counted,
    recentNeed: memory.recentNeed,
  };
}

function advance(before: Booting | undefined, { id, phase, startedAt }: Starting, now: number): Booting {
  if (!before) return { id, phase, since: startedAt, spent: unspent };
  return before.phase === phase ? before : { id, phase, since: now, spent: spend(before, now) };
}

type Starting = Pick<Instance, 'id' | 'startedAt'> & { readonly phase: keyof Boot };

/** What it has spent when it leaves its phase at `until`. */
function spend({ phase, since, spent }: Booting, until: number): Boot {
  return { ...spent, [phase]: spent[phase] + Math.max(0, until - since) / 1000 };
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
