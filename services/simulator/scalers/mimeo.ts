import { needReviewAt, noteNeed } from '../../core/recent-need.ts';
import { desiredReplicas, type ScalingPolicy } from '../../core/scaling.ts';
import { emptyMemory, type ScalingMemory } from '../../core/scaling-memory.ts';
import type { PoolScaler, PoolView, Scaler, Wish } from '../scaler.ts';

/** Shortest time between two looks, as the director paces itself. */
const spacingMs = 50;

/** Mimeo's own: `desiredReplicas` of core/scaling.ts, looked at whenever something has changed. */
export function mimeoScaler(policy: ScalingPolicy): Scaler {
  return {
    name: 'mimeo',
    about: `${settingsInWords(policy)}, max ${policy.max}`,
    pace: { by: 'changes', spacingMs },
    stopsBooting: false,
    initial: () => policy.min,
    open: () => new MimeoPool(policy),
  };
}

/** What an owner sets, such as `min 0, buffer 1, idle 60 s`. */
export function settingsInWords(
  policy: Pick<ScalingPolicy, 'min' | 'buffer' | 'idleSeconds' | 'drainSeconds'>,
): string {
  const { min, buffer, idleSeconds, drainSeconds } = policy;
  const drain = drainSeconds === null ? '' : `, drain ${drainSeconds} s`;
  return `min ${min}, buffer ${buffer}, idle ${idleSeconds} s${drain}`;
}

class MimeoPool implements PoolScaler {
  readonly #policy: ScalingPolicy;
  #memory: ScalingMemory = emptyMemory;
  #needed = -1;

  constructor(policy: ScalingPolicy) {
    this.#policy = policy;
  }

  get setupSeconds(): readonly number[] {
    return this.#memory.setupSeconds;
  }

  reviewAt(now: number): number {
    const idleMs = this.#policy.idleSeconds * 1000;
    const spareAt = needReviewAt(this.#memory.recentNeed, now, idleMs);
    return Math.max(now, Math.min(now + idleMs, spareAt));
  }

  look(view: PoolView): Wish {
    const { now, queued, running, runSeconds, instances, concurrency } = view;
    const remainingBudgetMicroUsd = null;
    const sample = { now, queued, running, runSeconds, instances, concurrency, remainingBudgetMicroUsd };
    const { replicas, reviewAt, memory } = desiredReplicas(sample, this.#policy, this.#memory);
    this.#memory = memory;
    return { replicas: replicas ?? view.live, reviewAt };
  }

  /** What `desiredReplicas` notes at each look, the spared ones included. */
  note({ now, queued, running, live, ready, concurrency }: PoolView): void {
    const needed = live - ready + Math.ceil((queued + running) / concurrency);
    if (needed === this.#needed) return;
    this.#needed = needed;
    const recentNeed = noteNeed(this.#memory.recentNeed, needed, now, this.#policy.idleSeconds * 1000);
    this.#memory = { ...this.#memory, recentNeed };
  }

  /**
   * While nobody waits, only instances that come, go or become idle for long can change the answer; and while the limit
   * is reached, nobody who waits can. A test holds this to what every look would say, within 1 %.
   */
  isWorthALook({ queued, running, live, ready, concurrency }: PoolView, phasesChanged: boolean): boolean {
    const { min, max, buffer } = this.#policy;
    if (phasesChanged || live < min || live > max) return true;
    if (queued === 0) return buffer > 0;
    return live < max || running < ready * concurrency;
  }
}
