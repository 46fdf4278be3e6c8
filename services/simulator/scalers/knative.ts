import type { PoolScaler, PoolView, Scaler, Wish } from '../scaler.ts';

const tickMs = 2000;
const stableWindowMs = 60_000;
/** A tenth of the stable window. */
const panicWindowMs = 6000;
/** It panics where the panic window asks for this many times what is ready. */
const panicThreshold = 2;
/** Part of what an instance can do that it is meant to do. */
const targetUtilization = 0.7;
const maxScaleDownRate = 2;
const maxScaleUpRate = 1000;
/** How long the last instance stays after it is no longer wanted. */
const scaleToZeroGraceMs = 30_000;

/**
 * Knative's pod autoscaler (KPA) by concurrency, as it comes: every 2 s, requests that wait or run, averaged over 60 s, over
 * 70 % of what an instance runs at once; where 6 s ask for twice what is ready, those are gone by, and nothing is taken
 * away for 60 s; a request that finds no instance starts one at once; the last one goes after 60 s without requests and
 * 30 s of grace.
 * Sources: knative/serving, config/core/configmaps/autoscaler.yaml (defaults) and pkg/autoscaler/scaling/autoscaler.go.
 */
export function knativeScaler(max: number): Scaler {
  return {
    name: 'knative-kpa',
    about: `${targetUtilization * 100} % of each slot, windows of 60 and 6 s, grace 30 s, max ${max}`,
    pace: { by: 'ticks', everyMs: tickMs, atOnceFromZero: true },
    stopsBooting: true,
    initial: () => 0,
    open: () => new KnativePool(max),
  };
}

interface Mark {
  readonly at: number;
  readonly demandMs: number;
}

class KnativePool implements PoolScaler {
  readonly #max: number;
  #marks: Mark[] = [];
  #panicUntil = Number.NEGATIVE_INFINITY;
  #mostInPanic = 0;
  #unwantedSince: number | null = null;

  constructor(max: number) {
    this.#max = max;
  }

  look({ now, queued, running, live, ready, concurrency, demandMs }: PoolView): Wish {
    if (live === 0 && queued + running > 0) {
      // The activator has it look at once; its windows begin with this.
      this.#marks = [{ at: now, demandMs }];
      this.#unwantedSince = null;
      return wish(1);
    }
    this.#marks.push({ at: now, demandMs });
    while ((this.#marks[1]?.at ?? now) <= now - stableWindowMs) this.#marks.shift();
    const target = concurrency * targetUtilization;
    const there = Math.max(1, ready);
    const bounded = (average: number) => {
      const wanted = Math.ceil(average / target);
      const least = ready > 1 ? Math.floor(ready / maxScaleDownRate) : 0;
      return Math.min(this.#max, maxScaleUpRate * there, Math.max(wanted, least));
    };
    const stable = bounded(this.#average(stableWindowMs, now, demandMs));
    const panic = bounded(this.#average(panicWindowMs, now, demandMs));
    return wish(this.#settle(this.#orPanic(stable, panic, there, now), live, now));
  }

  #orPanic(stable: number, panic: number, ready: number, now: number): number {
    if (panic / ready >= panicThreshold) {
      if (now >= this.#panicUntil) this.#mostInPanic = 0;
      this.#panicUntil = now + stableWindowMs;
    }
    if (now >= this.#panicUntil) return stable;
    this.#mostInPanic = Math.max(this.#mostInPanic, panic, ready, stable);
    return Math.min(this.#max, this.#mostInPanic);
  }

  /** The last instance stays for the grace. */
  #settle(wanted: number, live: number, now: number): number {
    if (wanted > 0) {
      this.#unwantedSince = null;
      return wanted;
    }
    this.#unwantedSince ??= now;
    return now - this.#unwantedSince < scaleToZeroGraceMs ? Math.min(1, live) : 0;
  }

  /** Jobs at a time, over a window or what there is of it. */
  #average(windowMs: number, now: number, demandMs: number): number {
    const from = this.#marks.findLast(({ at }) => at <= now - windowMs) ?? this.#marks[0];
    if (!from || from.at === now) return 0;
    return (demandMs - from.demandMs) / (now - from.at);
  }
}

function wish(replicas: number): Wish {
  return { replicas, reviewAt: null };
}
