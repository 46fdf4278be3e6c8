import { percentile } from './percentile.ts';
import type { Instance, PoolState } from './pool.ts';
import { isStarting } from './scaling-memory.ts';

/** Why a job has not begun to run, as a prediction carries it while it is `starting`. */
export interface Waiting {
  /** `queued` where its turn has not come; else what the instance that it waits for is at. */
  readonly phase: 'queued' | 'node' | 'image' | 'weights' | 'setup';
  /** Its place in the queue, 1 for the next; approximate. */
  readonly position: number;
  /** Seconds until it begins; null where nothing is known to reckon by. */
  readonly eta_seconds: { readonly p50: number; readonly p90: number } | null;
  /** What that instance waits for, in a sentence; absent where its phase says all there is. */
  readonly reason?: string;
}

interface Place {
  /** The pool as its director last reported it; undefined where it never did. */
  readonly state: PoolState | undefined;
  /** Jobs that one instance runs at once. */
  readonly concurrency: number;
  readonly position: number;
  /** Seconds that the pool's recent jobs ran. */
  readonly runSeconds: readonly number[];
  /** Epoch ms. */
  readonly now: number;
}

/** What a job waits for and how long that may take, by what recent setups and runs took. */
export function explainWaiting(place: Place): Waiting {
  const instances = place.state?.instances ?? [];
  const ready = instances.filter(({ phase }) => phase === 'ready');
  const starting = instances.filter(isStarting);
  const p50 = etaSeconds(place, ready, starting, 0.5);
  const p90 = etaSeconds(place, ready, starting, 0.9);
  const awaited = ready.length > 0 ? undefined : furthest(starting);
  return {
    phase: awaited?.phase ?? 'queued',
    position: place.position,
    eta_seconds: p50 === null || p90 === null ? null : { p50, p90 },
    ...(awaited?.detail === undefined ? {} : { reason: awaited.detail }),
  };
}

const phases = ['setup', 'weights', 'image', 'node'] as const;

/** The starting instance that is nearest to ready; of several, one that says what it waits for. */
function furthest(
  starting: readonly Instance[],
): { readonly phase: Waiting['phase']; readonly detail: string | undefined } | undefined {
  const phase = phases.find((one) => starting.some((instance) => instance.phase === one));
  if (phase === undefined) return undefined;
  const there = starting.filter((instance) => instance.phase === phase);
  return { phase, detail: there.find(({ detail }) => detail !== undefined)?.detail };
}

function etaSeconds(
  { state, concurrency, position, runSeconds, now }: Place,
  ready: readonly Instance[],
  starting: readonly Instance[],
  p: number,
): number | null {
  if (state === undefined) return null;
  if (ready.length === 0 && starting.length === 0 && state.breaker !== null) return null;
  const setup = ready.length > 0 ? 0 : remainingSetupSeconds(state.setupSeconds, starting, now, p);
  const slots = concurrency * Math.max(1, ready.length > 0 ? ready.length : starting.length);
  const running = ready.reduce((sum, instance) => sum + instance.running, 0);
  // A slot is free for it once this many jobs have ended; together the slots end one every run ÷ slots.
  const endsBefore = Math.max(0, position - 1 + running - slots + 1);
  const run = endsBefore === 0 ? 0 : percentile(runSeconds, p);
  return setup === null || run === null ? null : round(setup + (endsBefore * run) / slots);
}

/** Of the instance that is nearest to ready: the others follow it. */
function remainingSetupSeconds(
  history: readonly number[],
  starting: readonly Instance[],
  now: number,
  p: number,
): number | null {
  const whole = percentile(history, p);
  if (whole === null) return null;
  const elapsed = starting.map(({ startedAt }) => (now - startedAt) / 1000);
  return Math.max(0, whole - Math.max(0, ...elapsed));
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
