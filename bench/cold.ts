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
  /** Mimeo's own share: from the prediction to the start of the model's process, … */
  readonly wakeMs: Spread;
  /** … and from the instance being ready to the prediction having begun on it. */
  readonly handOverMs: Spread;
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
  const wake: number[] = [];
  const handOver: number[] = [];
  const pools = new Pools(table);
  try {
    for (let round = 0; round <= rounds; round += 1) {
      const cog = await startCog(launch);
      await cog.close();
      // In the first round the server has only just been started.
      if (round > 0) await noInstanceLeft(pools, pool);
      const started = startedAfter(pools, pool, Date.now());
      const sent = performance.now();
      const made = await predict(server, version, { text: 'cold' }, { wait: true });
      const mimeoMs = performance.now() - sent;
      const instance = await started;
      say(
        `cold start, ${round === 0 ? 'warm-up' : `pair ${round}`}: bare ${Math.round(cog.bootMs)} ms, Mimeo ${Math.round(mimeoMs)} ms`,
      );
      if (round === 0) continue;
      bare.push(cog.bootMs);
      mimeo.push(mimeoMs);
      wake.push(instance.startedAt - Date.parse(made.created_at));
      handOver.push(Date.parse(made.started_at ?? '') - instance.readyAt);
    }
  } finally {
    await table.close();
    await server.close();
  }
  const [bareMs, mimeoMs] = [spread(bare), spread(mimeo)];
  const addedMs = mimeoMs.median - bareMs.median;
  return { bareMs, mimeoMs, addedMs, wakeMs: spread(wake), handOverMs: spread(handOver) };
}

/** The first instance that was started at `since` (epoch ms) or later, once the director has told that it is ready. */
async function startedAfter(
  pools: Pools,
  pool: string,
  since: number,
): Promise<{ readonly startedAt: number; readonly readyAt: number }> {
  const until = performance.now() + goneWithinMs;
  while (performance.now() < until) {
    for (const { startedAt, readyAt } of (await pools.state(pool))?.instances ?? []) {
      if (startedAt >= since && readyAt !== null) return { startedAt, readyAt };
    }
    await delay(20);
  }
  throw new Error(`Mimeo told of no instance within ${goneWithinMs / 1000} s`);
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
