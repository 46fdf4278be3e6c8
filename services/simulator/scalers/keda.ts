import type { PoolScaler, PoolView, Scaler, Wish } from '../scaler.ts';

/** KEDA asks for a queue's length so often. */
const pollingMs = 30_000;
/** A pool without messages goes to zero after this long. */
const cooldownMs = 300_000;
/** The autoscaler of Kubernetes takes the highest of what it wanted in so long a time before it takes anything away. */
const stabilizationMs = 300_000;
/** A difference that is smaller is let be. */
const tolerance = 0.1;

/**
 * KEDA over a queue, as it comes: replicas are messages ÷ target, messages in flight counted (`scaleOnInFlight`, the SQS
 * scaler's default), looked at every 30 s, 0 ↔ 1 by KEDA with a cooldown of 300 s, the rest by the
 * HorizontalPodAutoscaler: tolerance 0.1, scale-down stabilized over 300 s, growth by at most 4 or double in 15 s.
 * The target is what one instance runs at once; KEDA's own default of 5 would let four wait behind each that runs.
 * Sources: keda.sh/docs, "ScaledObject specification" (pollingInterval, cooldownPeriod) and "AWS SQS Queue";
 * kubernetes.io/docs, "Horizontal Pod Autoscaling" (algorithm, default behavior).
 */
export function kedaScaler(max: number): Scaler {
  return {
    name: 'keda-queue',
    about: `one message a slot, polled every ${pollingMs / 1000} s, cooldown ${cooldownMs / 1000} s, max ${max}`,
    pace: { by: 'ticks', everyMs: pollingMs, atOnceFromZero: false },
    stopsBooting: true,
    initial: () => 0,
    open: () => new KedaPool(max),
  };
}

class KedaPool implements PoolScaler {
  readonly #max: number;
  #activeAt = Number.NEGATIVE_INFINITY;
  /** What was recommended of late, for the stabilization. */
  #recent: { readonly at: number; readonly replicas: number }[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  look({ now, queued, running, live, concurrency }: PoolView): Wish {
    const messages = queued + running;
    if (messages > 0) this.#activeAt = now;
    if (messages === 0 && now - this.#activeAt >= cooldownMs) {
      this.#recent = [];
      return wish(0);
    }
    if (live === 0) return wish(messages > 0 ? 1 : 0);
    const recommended = this.#recommend(messages / (live * concurrency), live);
    this.#recent = [
      ...this.#recent.filter(({ at }) => now - at < stabilizationMs),
      { at: now, replicas: recommended },
    ];
    const stabilized =
      recommended < live
        ? Math.min(live, Math.max(...this.#recent.map(({ replicas }) => replicas)))
        : recommended;
    return wish(stabilized);
  }

  /** @param ratio of what is there to what is meant to be there */
  #recommend(ratio: number, live: number): number {
    if (Math.abs(ratio - 1) <= tolerance) return live;
    // Two syncs of 15 s lie between two polls; each may double, or add 4.
    const once = Math.max(live * 2, live + 4);
    const most = Math.max(once * 2, once + 4);
    return Math.min(this.#max, most, Math.max(1, Math.ceil(ratio * live)));
  }
}

function wish(replicas: number): Wish {
  return { replicas, reviewAt: null };
}
