import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { LaunchSpec } from '../services/core/launch.ts';
import { sharedPoolId } from '../services/core/pool.ts';
import { Pools } from '../services/data/pools.ts';
import { openSqliteTable } from '../services/ports/table/sqlite.ts';
import { predict } from './mimeo-api.ts';
import { startCog, startMimeo } from './servers.ts';
import { type Spread, spread } from './summary.ts';

/** An instance without work is gone soon, so that the next start is cold again. */
const idleSeconds = 0.2;
const goneWithinMs = 60_000;

export interface ColdSummary {
  /** From the start of the process to its first answer. */
  readonly bareMs: Spread;
  /** From the request to its answer, with no instance running before it. */
  readonly mimeoMs: Spread;
  /** By how much Mimeo's median is the later. */
  readonly addedMs: number;
}

/** Cold starts of both sides in turn. Every Mimeo start is the same server, which has let its instance go. */
export async function measureColdStarts(options: {
  readonly home: string;
  readonly model: string;
  readonly version: string;
  readonly launch: LaunchSpec;
  readonly rounds: number;
  readonly say: (line: string) => void;
}): Promise<ColdSummary> {
  const { home, version, launch, rounds, say } = options;
  const server = await startMimeo({ home, idleSeconds, say });
  const table = openSqliteTable({ path: join(home, 'mimeo.db') });
  const pool = sharedPoolId({ model: options.model, version, hardware: 'cpu' });
  const bare: number[] = [];
  const mimeo: number[] = [];
  try {
    for (let round = 0; round <= rounds; round += 1) {
      const cog = await startCog(launch);
      await cog.close();
      // In the first round the server has only just been started.
      if (round > 0) await noInstanceLeft(new Pools(table), pool);
      const sent = performance.now();
      await predict(server, version, { text: 'cold' }, { wait: true });
      const mimeoMs = performance.now() - sent;
      say(
        `cold start, ${round === 0 ? 'warm-up' : `pair ${round}`}: bare ${Math.round(cog.bootMs)} ms, Mimeo ${Math.round(mimeoMs)} ms`,
      );
      if (round === 0) continue;
      bare.push(cog.bootMs);
      mimeo.push(mimeoMs);
    }
  } finally {
    await table.close();
    await server.close();
  }
  const [bareMs, mimeoMs] = [spread(bare), spread(mimeo)];
  return { bareMs, mimeoMs, addedMs: mimeoMs.median - bareMs.median };
}

/** Waits for the director's own word that the pool has no instance any more. */
async function noInstanceLeft(pools: Pools, pool: string): Promise<void> {
  const until = performance.now() + goneWithinMs;
  while (performance.now() < until) {
    const state = await pools.state(pool);
    if (state && state.instances.length === 0) return;
    await delay(50);
  }
  throw new Error(`Mimeo has not let its instance go within ${goneWithinMs / 1000} s`);
}
