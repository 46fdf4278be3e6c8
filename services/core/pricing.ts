/**
 * What a run costs, in integer micro-dollars: run time × the SKU's price, rounded half up once per job.
 * Example: 3 s at 725 µ$/s (gpu-a40-large) is 2175 µ$, 8 s is 5800 µ$.
 */
export function costMicroUsd(billedMs: number, microUsdPerSecond: number): number {
  return Math.round((billedMs * microUsdPerSecond) / 1000);
}

/**
 * The time that is billed: the lesser of what the model server says that it ran and what our own clock saw,
 * in whole milliseconds and never negative. A model server that reports nothing is billed by our clock.
 */
export function billedMs(run: { reportedMs: number | null; observedMs: number }): number {
  const observed = Math.max(0, run.observedMs);
  const reported = run.reportedMs ?? observed;
  return Math.round(Math.max(0, Math.min(reported, observed)));
}
