import { setTimeout as delay } from 'node:timers/promises';
import type { Target } from './load.ts';
import type { LoadProcess } from './load-process.ts';
import { figuresOf, type RoundFigures, type RoundPair } from './summary.ts';

/** How many times as long as the others the round is that warms up: V8 has compiled Mimeo after some thousand runs. */
const warmUpFactor = 4;

/** Lets what a server does after its last answer end before the other one's round. */
const settleMs = 200;

export interface Pairing {
  readonly bare: Target;
  readonly mimeo: Target;
  readonly clients: number;
  /** Pairs that are kept; one more goes before them to warm both sides up. */
  readonly rounds: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
}

/**
 * Rounds on both servers in turn, each pair beginning with the side that the last one ended with.
 * @returns the pairs, and how many predictions Mimeo has made for them and for the warming up
 */
export async function runPairs(
  load: LoadProcess,
  { bare, mimeo, clients, rounds, seconds, say }: Pairing,
): Promise<{ readonly pairs: readonly RoundPair[]; readonly mimeoPredictions: number }> {
  let mimeoPredictions = 0;
  const run = async (target: Target, factor: number): Promise<RoundFigures> => {
    await delay(settleMs);
    const result = await load.run({ target, clients, seconds: seconds * factor });
    if (target.kind === 'mimeo') mimeoPredictions += result.latenciesMs.length + result.uncounted;
    return figuresOf(result);
  };
  const pairs: RoundPair[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const factor = round === 0 ? warmUpFactor : 1;
    const pair =
      round % 2 === 0
        ? { bare: await run(bare, factor), mimeo: await run(mimeo, factor) }
        : { mimeo: await run(mimeo, factor), bare: await run(bare, factor) };
    say(
      `${clients} client${clients === 1 ? '' : 's'}, ${round === 0 ? 'warm-up' : `pair ${round}`}: ${inWords(pair)}`,
    );
    if (round > 0) pairs.push(pair);
  }
  return { pairs, mimeoPredictions };
}

function inWords({ bare, mimeo }: RoundPair): string {
  const side = ({ p50Ms, p99Ms, perSecond }: RoundFigures) =>
    `p50 ${p50Ms.toFixed(2)} p99 ${p99Ms.toFixed(1)} ms ${Math.round(perSecond)}/s`;
  return `bare ${side(bare)}, Mimeo ${side(mimeo)}`;
}

/**
 * Rounds on any number of servers in turn, each time beginning with the next of them.
 * @returns the figures of each round by sides, and how many predictions Mimeo has made
 */
export async function runRounds(
  load: LoadProcess,
  options: Omit<Pairing, 'bare' | 'mimeo'> & {
    readonly sides: readonly { readonly name: string; readonly target: Target }[];
  },
): Promise<{
  readonly rounds: readonly (readonly RoundFigures[])[];
  readonly mimeoPredictions: number;
}> {
  const { sides, clients, rounds, seconds, say } = options;
  const kept: RoundFigures[][] = [];
  let mimeoPredictions = 0;
  for (let round = 0; round <= rounds; round += 1) {
    const figures: RoundFigures[] = [];
    for (let turn = 0; turn < sides.length; turn += 1) {
      const index = (round + turn) % sides.length;
      const side = sides[index];
      if (!side) continue;
      await delay(settleMs);
      const { target } = side;
      const result = await load.run({ target, clients, seconds: seconds * (round === 0 ? warmUpFactor : 1) });
      if (target.kind === 'mimeo') mimeoPredictions += result.latenciesMs.length + result.uncounted;
      figures[index] = figuresOf(result);
    }
    const told = sides.map(({ name }, index) => `${name} ${Math.round(figures[index]?.perSecond ?? 0)}/s`);
    say(`${clients} client${clients === 1 ? '' : 's'}, round ${round}: ${told.join(', ')}`);
    if (round > 0) kept.push(figures);
  }
  return { rounds: kept, mimeoPredictions };
}
