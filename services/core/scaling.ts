import { type Breaker, mayStart } from './breaker.ts';
import { mean, percentile } from './percentile.ts';
import type { Instance } from './pool.ts';
import { mostNeeded, needReviewAt, noteNeed, type RecentNeed } from './recent-need.ts';
import { isStarting, remember, type ScalingMemory } from './scaling-memory.ts';

/** What the owner of a pool wants of it. */
export interface ScalingPolicy {
  /** Instances that are kept even when nothing is to be done. */
  readonly min: number;
  /** Never more than this; it wins over `min`. */
  readonly max: number;
  /** Instances that are kept free beside those that work, for as long as there is work. */
  readonly buffer: number;
  /** Seconds without work after which an instance is stopped, and after which those are that were not needed in them. */
  readonly idleSeconds: number;
  /**
   * Seconds in which new instances should be through with what the present ones leave them. null: as long as a setup
   * takes, so that an instance works at least as long as it boots. Never shorter than one run.
   */
  readonly drainSeconds: number | null;
  /** Epoch ms at which what is wanted changes by itself, as a scheduled minimum does; null or absent: never. */
  readonly changesAt?: number | null;
}

export const defaultPolicy: ScalingPolicy = {
  min: 0,
  max: 4,
  buffer: 0,
  idleSeconds: 60,
  drainSeconds: null,
};

/** A pool at one moment. */
export interface Sample {
  /** Epoch ms. */
  readonly now: number;
  /** Jobs that wait. */
  readonly queued: number;
  /** Jobs that run. */
  readonly running: number;
  /** Seconds that recent jobs ran; empty where none is known. */
  readonly runSeconds: readonly number[];
  readonly instances: readonly Instance[];
  /** Jobs that one instance runs at once. */
  readonly concurrency: number;
  /** What is left of the hardware's budget; null where there is no budget. */
  readonly remainingBudgetMicroUsd: number | null;
}

/** What a pool should have, and why. */
export interface Decision {
  /** null: leave the pool as it is. */
  readonly replicas: number | null;
  /** `blocked`: more is wanted, and the breaker or the budget forbids it. */
  readonly action: 'start' | 'stop' | 'hold' | 'blocked';
  /** Why, in words. */
  readonly reason: string;
  /** Epoch ms at which the answer may change by the passing of time alone; null where it does not. */
  readonly reviewAt: number | null;
  readonly memory: ScalingMemory;
}

/**
 * How many instances a pool should have. Pure: processes, Kubernetes and the simulator all run this function.
 * It starts at once what work asks for and pays, counts what is starting already, and stops only instances that are
 * idle: those that have been for the policy's time, and as many as were not needed at any moment of that time, the
 * longest idle first. Instances that work or boot are never among those.
 * @param sample null where the pool could not be looked at in full: then nothing changes
 * @param memory what the decision before returned, at first `emptyMemory`
 */
export function desiredReplicas(
  sample: Sample | null,
  policy: ScalingPolicy,
  memory: ScalingMemory,
): Decision {
  if (sample === null) {
    const reason = 'the pool could not be looked at: nothing is changed';
    return { replicas: null, action: 'hold', reason, reviewAt: null, memory };
  }
  const fleet = census(sample, policy);
  const recentNeed = noteNeed(
    memory.recentNeed,
    fleet.starting + neededNow(sample),
    sample.now,
    policy.idleSeconds * 1000,
  );
  const remembered = { ...remember(memory, sample.instances, sample.now), recentNeed };
  const broke = sample.remainingBudgetMicroUsd !== null && sample.remainingBudgetMicroUsd <= 0;
  const wish = broke ? 0 : wanted(sample, policy, fleet, percentile(remembered.setupSeconds, 0.5));
  const facts: Facts = { sample, policy, fleet, wish, broke, breaker: remembered.breaker, recentNeed };
  const replicas = reachable(facts);
  return { replicas, ...explain(facts, replicas), reviewAt: reviewAt(facts), memory: remembered };
}

interface Facts {
  readonly sample: Sample;
  readonly policy: ScalingPolicy;
  readonly fleet: Census;
  /** What is wanted, whatever can be had. */
  readonly wish: number;
  /** Whether the budget is used up. */
  readonly broke: boolean;
  readonly breaker: Breaker;
  readonly recentNeed: RecentNeed;
}

function reachable(facts: Facts): number {
  const { sample, policy, fleet, wish, broke, breaker } = facts;
  const stoppable = broke ? fleet.idle.length : Math.max(fleet.expired, spare(facts));
  const most = fleet.live + mayStart(breaker, fleet.starting, sample.now);
  return Math.min(policy.max, most, Math.max(wish, fleet.live - stoppable));
}

/** Idle instances without which all jobs would have had a place, at every moment of the policy's idle time. */
function spare({ sample, policy, fleet, recentNeed }: Facts): number {
  const most = mostNeeded(recentNeed, sample.now, policy.idleSeconds * 1000);
  if (most === null) return 0;
  // A run may be shorter than the time between two looks: whoever has just worked is needed.
  const needed = fleet.expired < fleet.idle.length ? Math.max(1, most) : most;
  return Math.min(fleet.idle.length, Math.max(0, fleet.live - needed));
}

/** Instances that would do if each job that waits or runs had a place of one, and no place were left free. */
function neededNow({ queued, running, concurrency, instances }: Sample): number {
  // Runners tell of a run sooner than the count of running jobs does.
  const seen = instances.reduce((sum, instance) => sum + instance.running, 0);
  return Math.ceil((queued + Math.max(running, seen)) / concurrency);
}

interface Census {
  /** Ready or starting: what a pool's replicas are counted by. */
  readonly live: number;
  readonly starting: number;
  readonly busy: number;
  /** Epoch ms since when each idle instance is idle, the longest first. */
  readonly idle: readonly number[];
  /** How many of those have been idle for the policy's time. */
  readonly expired: number;
}

function census({ instances, now }: Sample, policy: ScalingPolicy): Census {
  const ready = instances.filter(({ phase }) => phase === 'ready');
  const idle = ready
    .flatMap(({ running, idleSince }) => (running === 0 && idleSince !== null ? [idleSince] : []))
    .sort((a, b) => a - b);
  const starting = instances.filter(isStarting).length;
  return {
    live: ready.length + starting,
    starting,
    busy: ready.length - idle.length,
    idle,
    expired: idle.filter((since) => since + policy.idleSeconds * 1000 <= now).length,
  };
}

/** What work, minimum and buffer ask for, whatever can be had. */
function wanted(sample: Sample, policy: ScalingPolicy, fleet: Census, setupSeconds: number | null): number {
  const needed = Math.max(fleet.busy, neededForQueue(sample, policy, setupSeconds));
  const buffer = sample.queued + sample.running > 0 ? policy.buffer : 0;
  return Math.min(policy.max, Math.max(policy.min, needed + buffer));
}

/**
 * Instances that the queue is worth, those that exist included. An instance that is started now is ready only after a
 * setup; what the present ones finish until then needs no other. What is left is shared so that each instance works for
 * at least one run, and at least as long as it boots. While setup or run time is unknown, each job is worth a slot.
 */
function neededForQueue(sample: Sample, policy: ScalingPolicy, setupSeconds: number | null): number {
  const { queued, running, concurrency } = sample;
  if (queued === 0) return 0;
  const slotEach = Math.ceil((queued + running) / concurrency);
  const runSeconds = mean(sample.runSeconds);
  if (setupSeconds === null || runSeconds === null) return slotEach;
  const workSeconds = (queued + running) * runSeconds - workedOff(sample, setupSeconds) * concurrency;
  const shareSeconds = Math.max(runSeconds, policy.drainSeconds ?? setupSeconds, 0.001);
  return Math.max(1, Math.min(slotEach, Math.ceil(workSeconds / (shareSeconds * concurrency))));
}

/** Seconds that the present instances work, in sum, until one that is started now would be ready. */
function workedOff({ instances, now }: Sample, setupSeconds: number): number {
  let sum = 0;
  for (const instance of instances) {
    if (instance.phase === 'ready') sum += setupSeconds;
    else if (isStarting(instance)) {
      sum += Math.min(setupSeconds, Math.max(0, now - instance.startedAt) / 1000);
    }
  }
  return sum;
}

function explain(facts: Facts, replicas: number): Pick<Decision, 'action' | 'reason'> {
  const { fleet, wish, broke } = facts;
  if (replicas > fleet.live) {
    const start = replicas - fleet.live;
    return { action: 'start', reason: `${whyMore(facts, replicas)}: start ${start}` };
  }
  if (replicas < fleet.live) {
    const stop = fleet.live - replicas;
    return { action: 'stop', reason: `${whyFewer(facts, stop)}: stop ${stop}` };
  }
  if (broke) return { action: 'blocked', reason: budgetUsedUp };
  if (wish > replicas) return { action: 'blocked', reason: whyBlocked(facts) };
  return { action: 'hold', reason: whyHold(facts) };
}

const budgetUsedUp = "the hardware's budget is used up";

function whyMore({ sample, policy, fleet, breaker }: Facts, replicas: number): string {
  const atLimit = replicas === policy.max ? ` (the limit is ${policy.max})` : '';
  const again = breaker.failures > 0 ? ` after ${times(breaker.failures, 'failed setup')}` : '';
  if (sample.queued > 0) {
    const among = fleet.live === 0 ? 'and nothing runs' : `for ${times(fleet.live, 'instance')}`;
    return `${waiting(sample.queued)} ${among}${again}${atLimit}`;
  }
  if (replicas <= policy.min) return `at least ${policy.min} are kept${again}`;
  return `${policy.buffer} more than those that work are kept${again}${atLimit}`;
}

function whyFewer(facts: Facts, stop: number): string {
  const { policy, fleet, broke } = facts;
  if (broke) return budgetUsedUp;
  if (fleet.expired < stop) {
    if (spare(facts) < stop) return `the limit is ${policy.max}`;
    return `${times(fleet.live - stop, 'instance')} would have done for ${policy.idleSeconds} s`;
  }
  return `${times(stop, 'instance')} had nothing to do for ${policy.idleSeconds} s`;
}

function whyBlocked({ sample, breaker }: Facts): string {
  const failed = `${times(breaker.failures, 'setup')} failed in a row`;
  if (breaker.until === null || breaker.until <= sample.now) return `${failed}: one more is tried first`;
  return `${failed}: nothing is started before ${new Date(breaker.until).toISOString()}`;
}

function whyHold({ sample, policy, fleet }: Facts): string {
  const { queued } = sample;
  if (queued === 0) {
    if (fleet.live === 0) return 'nothing waits and nothing runs';
    return `nothing waits; ${fleet.busy} work, ${fleet.idle.length} idle, ${fleet.starting} starting`;
  }
  if (fleet.live >= policy.max) {
    return `${waiting(queued)}; the limit of ${times(policy.max, 'instance')} is reached`;
  }
  if (fleet.starting > 0) return `${waiting(queued)} while ${times(fleet.starting, 'instance')} starting`;
  return `${waiting(queued)}; ${times(fleet.live, 'instance')} will be through before another would pay`;
}

function waiting(jobs: number): string {
  return jobs === 1 ? '1 job waits' : `${jobs} jobs wait`;
}

function times(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function reviewAt({ sample, policy, fleet, breaker, wish, recentNeed }: Facts): number | null {
  const idleMs = policy.idleSeconds * 1000;
  const moments = fleet.idle.map((since) => since + idleMs);
  if (fleet.idle.length > 0 && fleet.live > policy.min) {
    moments.push(needReviewAt(recentNeed, sample.now, idleMs));
  }
  if (breaker.until !== null && wish > fleet.live) moments.push(breaker.until);
  if (policy.changesAt) moments.push(policy.changesAt);
  const ahead = moments.filter((moment) => moment > sample.now);
  return ahead.length === 0 ? null : Math.min(...ahead);
}
