import type { Logger } from 'pino';
import { logMeasured } from '../core/log-lines.ts';
import type { Pool } from '../core/pool.ts';
import type { Files } from '../data/files.ts';
import type { JobFlow } from '../data/job-flow.ts';
import type { Pools } from '../data/pools.ts';
import { readSweepPlace, writeSweepPlace } from '../data/sweep-place.ts';
import type { Objects } from '../ports/objects/port.ts';
import type { Queue } from '../ports/queue/port.ts';
import type { Table } from '../ports/table/port.ts';
import type { Sweeper } from './app.ts';
import { removeExpiredFiles } from './files.ts';
import { type Gauges, readGauges } from './gauges.ts';
import { Walk } from './walk.ts';

/** What is under way when the time is up, and the line about it, take no longer than this. */
export const marginMs = 8000;
/** A round and its margin fit into the minute after which the next one begins. */
const mostRoundMs = 50_000;
/** Pools that are looked at together. */
const poolsAtOnce = 8;
/** Shares of the time that have gone when deadlines, and then pools, have had theirs: nothing waits for ever. */
const deadlinesShare = 0.3;
const poolsShare = 0.7;
/** Groups that a turn of a removal takes up, so that each gets its turn. */
const roundsOfATurn = 4;
/** A queue whose pool got no job for this long is removed. */
const deadPoolMs = 7 * 24 * 3_600_000;
/** Dead pools that a turn takes up. */
const deadPools = 20;

export interface RoundParts {
  readonly sweeper: Sweeper;
  readonly table: Table;
  readonly flow: JobFlow;
  readonly pools: Pools;
  readonly files: Files;
  readonly objects: Objects;
  readonly queue: Queue;
  /** Sends hints for webhooks that are overdue. @returns how many */
  readonly hintWebhooks: () => Promise<number>;
  readonly now: () => number;
  readonly logger: Logger;
}

/** What a round did. */
export interface RoundReport {
  /** Whether everything was looked at; where not, the next round goes on. */
  readonly isComplete: boolean;
  readonly pools: number;
  readonly webhooks: number;
  /** Age of the oldest job that waits for an instance; 0 where none does. */
  readonly oldestQueuedSeconds: number;
  /** Parts that failed; each was logged and kept no other from its turn. */
  readonly failed: readonly string[];
}

/**
 * When a round that begins at `now` has to end: a margin before its process has to, and before the next round begins,
 * however long the process may run for other work. Epoch ms.
 */
export function endOfRound(now: number, remainingMs: number): number {
  return now + Math.min(remainingMs - marginMs, mostRoundMs);
}

/**
 * One look at everything that best effort may have missed: deadlines, leases and lost messages, overdue webhooks, then
 * what is to be removed, in turns. It ends soon after `endsAt` (epoch ms), and the next one goes on from there.
 */
export async function sweepRound(parts: RoundParts, endsAt: number): Promise<RoundReport> {
  const { sweeper, files, objects, now, hintWebhooks } = parts;
  const startedAt = now();
  const isTimeUp = () => now() >= endsAt;
  const isShareUp = (share: number) => () => now() >= startedAt + (endsAt - startedAt) * share;
  const deadQueues = new Walk();
  const failed = new Set<string>();
  const guard = async <T>(name: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      failed.add(name);
      parts.logger.error({ err: error, part: name }, 'a part of the sweep failed');
      return undefined;
    }
  };

  const overdue = await guard('deadlines', async () =>
    untilNone(() => sweeper.cancelOverdue(), isShareUp(deadlinesShare)),
  );
  const pools = await guard('pools', async () => repairPools(parts, isShareUp(poolsShare)));
  const gauges = await guard('gauges', async () => logGauges(parts, isTimeUp));
  const webhooks = await guard('webhooks', hintWebhooks);
  const isClean = await inTurns(
    [
      async () => guard('retention', async () => sweeper.removeOldData(roundsOfATurn)),
      async () => guard('lost files', async () => sweeper.removeLostFiles(roundsOfATurn)),
      async () =>
        guard('queues', async () => deadQueues.step(async (cursor) => dropDeadQueues(parts, cursor))),
      async () =>
        guard('files', async () => {
          await removeExpiredFiles({ files, objects }, now(), isTimeUp);
          return false;
        }),
    ],
    isTimeUp,
  );
  const isComplete = overdue === true && pools?.isComplete === true && isClean && failed.size === 0;
  return {
    isComplete,
    pools: pools?.looked ?? 0,
    webhooks: webhooks ?? 0,
    oldestQueuedSeconds: Math.max(0, ...(gauges?.hardware ?? []).map((one) => one.oldestQueuedSeconds)),
    failed: [...failed],
  };
}

/** Tells the log, of which figures are made, what the platform is like now. */
async function logGauges({ flow, pools, now, logger }: RoundParts, isTimeUp: () => boolean): Promise<Gauges> {
  const gauges = await readGauges({ pools, jobs: flow.jobs }, now(), isTimeUp);
  const log = (line: object, message: string) => logger.info(line, message);
  for (const line of gauges.hardware) logMeasured(log, 'hardware was counted', line);
  for (const line of gauges.coldStarts) logMeasured(log, 'an instance became ready', line);
  return gauges;
}

/** @returns whether nothing was left when it ended */
async function untilNone(work: () => Promise<boolean>, isTimeUp: () => boolean): Promise<boolean> {
  while (await work()) if (isTimeUp()) return false;
  return true;
}

/** Does each again while it says that there is more. @returns whether all got through */
async function inTurns(
  works: readonly (() => Promise<boolean | undefined>)[],
  isTimeUp: () => boolean,
): Promise<boolean> {
  let left = works;
  while (left.length > 0) {
    const more: (typeof works)[number][] = [];
    for (const work of left) {
      if (isTimeUp()) return false;
      if (await work()) more.push(work);
    }
    left = more;
  }
  return true;
}

/** Goes on where the last round had to stop, so that each pool gets its turn. */
async function repairPools(
  { table, pools, sweeper, now }: RoundParts,
  isTimeUp: () => boolean,
): Promise<{ readonly looked: number; readonly isComplete: boolean }> {
  const place = await readSweepPlace(table, 'POOLS');
  const active = fromPlace(await pools.active(now()), place);
  let isComplete = true;
  for (let start = 0; start < active.length; start += poolsAtOnce) {
    if (isTimeUp()) {
      await writeSweepPlace(table, 'POOLS', active[start - 1]?.id ?? place);
      return { looked: start, isComplete: false };
    }
    const some = active.slice(start, start + poolsAtOnce);
    const looks = await Promise.allSettled(some.map(async (pool) => sweeper.repairPool(pool, isTimeUp)));
    const [failure] = looks.filter((look) => look.status === 'rejected');
    if (failure) {
      await writeSweepPlace(table, 'POOLS', some.at(-1)?.id);
      throw failure.reason;
    }
    if (looks.some((look) => look.status === 'fulfilled' && !look.value)) isComplete = false;
  }
  if (place !== undefined) await writeSweepPlace(table, 'POOLS', undefined);
  return { looked: active.length, isComplete };
}

/** In the order of their ids, beginning after `place`. */
function fromPlace(pools: readonly Pool[], place: string | undefined): readonly Pool[] {
  const sorted = pools.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const start = place === undefined ? 0 : sorted.findIndex(({ id }) => id > place);
  return start <= 0 ? sorted : [...sorted.slice(start), ...sorted.slice(0, start)];
}

/** Removes queues of pools that are gone. @returns where the next of them are; undefined where there are none */
async function dropDeadQueues(
  { pools, flow, queue, now }: RoundParts,
  cursor: string | undefined,
): Promise<string | undefined> {
  const idle = await pools.idleSince(now() - deadPoolMs, { limit: deadPools, cursor });
  for (const pool of idle.items) {
    const [queued, running, state] = await Promise.all([
      flow.jobs.count(pool.id, 'queued', 1),
      flow.jobs.count(pool.id, 'running', 1),
      pools.state(pool.id),
    ]);
    if (queued + running + (state?.instances.length ?? 0) > 0) {
      // Instances that are kept for it listen there.
      await pools.touch(pool, now());
      continue;
    }
    // A message that is lost with it, because a job has come just now, is sent again by `repairPool`.
    await queue.drop(pool.id);
    await pools.retire(pool);
  }
  return idle.next;
}
