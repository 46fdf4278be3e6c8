import { Chance as SeededChance } from '../../services/simulator/chance.ts';

/** Chance that repeats itself with its seed, and what tests draw by it. */
export class Chance extends SeededChance {
  happens(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number from 0 up to, but not, `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** undefined where there is nothing to pick. */
  pick<T>(from: Iterable<T>): T | undefined {
    const all = [...from];
    return all[this.below(all.length)];
  }
}
