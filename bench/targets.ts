import type { ColdSummary } from './cold.ts';
import type { LargeSummary } from './large.ts';
import type { PeersSummary } from './peers.ts';
import type { QueuedSummary } from './queued.ts';
import type { StreamSummary } from './stream.ts';
import type { LoadSummary, Measure } from './summary.ts';

/** What has to hold of one value that was measured. */
export interface Verdict {
  /** Stable and unique, for machines. */
  readonly target: string;
  readonly measured: number;
  readonly limit: number;
  readonly sense: 'atMost' | 'atLeast';
  readonly unit: 'ratio' | 'ms';
  /** What would be better still. */
  readonly stretch: number | undefined;
  readonly met: boolean;
}

export interface Measured {
  readonly load: readonly LoadSummary[];
  readonly streams: readonly StreamSummary[];
  readonly cold: ColdSummary | undefined;
  readonly large?: LargeSummary | undefined;
  readonly queued?: QueuedSummary | undefined;
  readonly peers?: PeersSummary | undefined;
}

interface LoadTarget {
  readonly clients: number;
  readonly measure: Measure;
  readonly limit: number;
  readonly sense: Verdict['sense'];
  readonly stretch?: number;
}

/** Mimeo with everything recorded and billed, as a ratio to bare Cog. */
const loadTargets: readonly LoadTarget[] = [
  { clients: 1, measure: 'p50Ms', sense: 'atMost', limit: 2, stretch: 1.7 },
  { clients: 8, measure: 'perSecond', sense: 'atLeast', limit: 1 },
  // A queue beats a server that refuses and is asked again.
  { clients: 8, measure: 'p99Ms', sense: 'atMost', limit: 0.5 },
];
/** From the model's yielding its first token to its arrival; 95 of 100 streams. */
const firstTokenLimitMs = 10;
/** What Mimeo may add to Cog's own boot. */
const coldAddedLimitMs = 100;

/** The targets on what was measured; those on what was not are left out. */
export function judge({ load, streams, cold }: Measured): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const { clients, measure, sense, limit, stretch } of loadTargets) {
    const summary = load.find((one) => one.clients === clients);
    if (!summary) continue;
    const measured = summary.comparisons[measure].ratio.median;
    verdicts.push(verdict(`${clients}-clients-${measure}`, measured, sense, limit, 'ratio', stretch));
  }
  for (const { side, delayMs, first } of streams) {
    if (side === 'mimeo')
      verdicts.push(verdict(`first-token-${delayMs}ms`, first.p95Ms, 'atMost', firstTokenLimitMs, 'ms'));
  }
  if (cold) verdicts.push(verdict('cold-start', cold.addedMs, 'atMost', coldAddedLimitMs, 'ms'));
  return verdicts;
}

function verdict(
  target: string,
  measured: number,
  sense: Verdict['sense'],
  limit: number,
  unit: Verdict['unit'],
  stretch?: number,
): Verdict {
  const met = sense === 'atMost' ? measured <= limit : measured >= limit;
  return { target, measured, limit, sense, unit, stretch, met };
}
