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
  /** Seconds that setups of such instances took, where the pool has none of its own to tell by. @default none */
  readonly priorSetupSeconds?: readonly number[];
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
  place: Place,
  ready: readonly Instance[],
  starting: readonly Instance[],
  p: number,
): number | null {
  const { state, concurrency, position, runSeconds } = place;
  if (ready.length === 0 && starting.length === 0 && state?.breaker) return null;
  const setup = ready.length > 0 ? 0 : secondsToStart(place, starting, 1, p);
  const slots = concurrency * Math.max(1, ready.length > 0 ? ready.length : starting.length);
  const running = ready.reduce((sum, instance) => sum + instance.running, 0);
  // A slot is free for it once this many jobs have ended; together the slots end one every run ÷ slots.
  const endsBefore = Math.max(0, position - 1 + running - slots + 1);
  const run = endsBefore === 0 ? 0 : percentile(runSeconds, p);
  return setup === null || run === null ? null : round(setup + (endsBefore * run) / slots);
}

type Starts = Pick<Place, 'state' | 'priorSetupSeconds' | 'now'>;

/**
 * Seconds until so many of the starting instances are ready, the nearest first; those of a whole start where fewer are
 * on their way. null where nothing is known to reckon by.
 */
function secondsToStart(
  starts: Starts,
  starting: readonly Instance[],
  count: number,
  p: number,
): number | null {
  const { state, priorSetupSeconds = [], now } = starts;
  const own = state?.setupSeconds ?? [];
  const whole = percentile(own.length > 0 ? own : priorSetupSeconds, p);
  const left = starting.flatMap((instance) => {
    const byPhases = leftByPhases(instance, state, now, p);
    if (byPhases !== null) return [byPhases];
    return whole === null ? [] : [Math.max(0, whole - Math.max(0, now - instance.startedAt) / 1000)];
  });
  left.sort((a, b) => a - b);
  return left[count - 1] ?? whole;
}

/** What past starts had before them when they had been in this phase for as long; null where none is known by phases. */
function leftByPhases(
  instance: Instance,
  state: PoolState | undefined,
  now: number,
  p: number,
): number | null {
  const { boots = [], phaseSince = {} } = state ?? {};
  const since = phaseSince[instance.id];
  if (since === undefined || !isStarting(instance)) return null;
  const { phase } = instance;
  const elapsed = Math.max(0, now - since) / 1000;
  const later = bootOrder.slice(bootOrder.indexOf(phase) + 1);
  const left = boots.map((boot) =>
    later.reduce((sum, next) => sum + boot[next], Math.max(0, boot[phase] - elapsed)),
  );
  return percentile(left, p);
}

/** Phases in the order in which an instance passes them. */
const bootOrder = [...phases].reverse();

/**
 * Seconds until a pool has so many instances ready, those that it has included; null where nothing is known to reckon
 * by, or while its setups fail.
 */
export function secondsToReady(pool: Starts, count: number): Waiting['eta_seconds'] {
  const instances = pool.state?.instances ?? [];
  const missing = count - instances.filter(({ phase }) => phase === 'ready').length;
  if (missing <= 0) return { p50: 0, p90: 0 };
  if (pool.state?.breaker) return null;
  const starting = instances.filter(isStarting);
  const p50 = secondsToStart(pool, starting, missing, 0.5);
  const p90 = secondsToStart(pool, starting, missing, 0.9);
  return p50 === null || p90 === null ? null : { p50: round(p50), p90: round(p90) };
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
