import { Chance } from '../simulation/chance.ts';

/** One fault that the run brings about. `afterMs`: how long after the one before. */
export type Fault = { readonly afterMs: number } & (
  | {
      readonly kind: 'platform';
      /** The start that follows is killed, too, this long after it began; null where it is left alone. */
      readonly againAfterMs: number | null;
    }
  /** `victim` picks from those that run, as a share of their number. */
  | { readonly kind: 'model'; readonly part: 'server' | 'worker'; readonly victim: number }
  | { readonly kind: 'runner'; readonly victim: number }
  /** What is cut is given back after the `forFaults` next faults. */
  | { readonly kind: 'disk'; readonly forFaults: number }
  | { readonly kind: 'receiver'; readonly how: 'refuses' | 'fails'; readonly forFaults: number }
);

/** Kills that pass between two cuts of the disk, and of the receiver. */
const killsPerDiskCut = 16;
const killsPerReceiverCut = 12;

/** The faults of one run: at least `kills` kills, the same for the same seed. */
export function planFaults(seed: number, kills: number): readonly Fault[] {
  const chance = new Chance(seed);
  const faults: Fault[] = [];
  let diskCutAt = killsPerDiskCut / 2;
  let receiverCutAt = killsPerReceiverCut / 2;
  for (let planned = 0; planned < kills; ) {
    const afterMs = gapMs(chance);
    if (planned >= diskCutAt) {
      diskCutAt += killsPerDiskCut;
      faults.push({ kind: 'disk', afterMs, forFaults: 1 + chance.below(3) });
      continue;
    }
    if (planned >= receiverCutAt) {
      receiverCutAt += killsPerReceiverCut;
      const how = chance.happens(0.5) ? 'refuses' : 'fails';
      faults.push({ kind: 'receiver', afterMs, how, forFaults: 1 + chance.below(6) });
      continue;
    }
    const fault = planKill(chance, afterMs);
    planned += fault.kind === 'platform' && fault.againAfterMs !== null ? 2 : 1;
    faults.push(fault);
  }
  return faults;
}

function planKill(chance: Chance, afterMs: number): Fault {
  const share = chance.next();
  if (share < 0.27) {
    return { kind: 'platform', afterMs, againAfterMs: chance.happens(0.25) ? chance.below(700) : null };
  }
  if (share < 0.65) {
    const part = chance.happens(0.3) ? 'worker' : 'server';
    return { kind: 'model', afterMs, part, victim: chance.next() };
  }
  return { kind: 'runner', afterMs, victim: chance.next() };
}

/** Some come in quick succession; others leave time for models to start and predictions to run. */
function gapMs(chance: Chance): number {
  const share = chance.next();
  if (share < 0.3) return chance.below(100);
  return share < 0.7 ? 100 + chance.below(500) : 600 + chance.below(1500);
}
