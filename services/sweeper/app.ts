import { setImmediate as turn } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Job } from '../core/job.ts';
import type { Pool } from '../core/pool.ts';
import { rememberTime } from '../core/remembered.ts';
import type { JobFlow } from '../data/job-flow.ts';
import type { Pools } from '../data/pools.ts';
import { removalBatch } from '../data/retention.ts';
import { Resends } from './resend.ts';
import { Walk } from './walk.ts';

/** Jobs that one look takes up; the next look goes on. */
const batch = 100;
/** Groups of jobs whose data, or of files that, one look removes. */
const removalRounds = 40;
/** How often a pool with unfinished jobs is marked as active. */
const keepActiveMs = 3_600_000;

interface Parts {
  readonly flow: JobFlow;
  readonly pools: Pools;
  readonly now: () => number;
  /** How long input, output and logs are kept after the end; 0 keeps them. @default 0 */
  readonly retentionSeconds?: number;
  readonly logger: Logger;
}

/** Repairs what best effort has missed: deadlines, expired leases and lost messages. */
export class Sweeper {
  readonly #parts: Parts;
  readonly #keptActive = new Map<string, number>();
  readonly #resends: Resends;
  readonly #overdue = new Walk();
  readonly #removals = new Walk();
  readonly #lostFiles = new Walk();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#resends = new Resends(parts.flow, parts.now);
  }

  /** Cancels jobs whose `Cancel-After` time is over. @returns whether there may be more of them */
  async cancelOverdue(): Promise<boolean> {
    const { flow, now } = this.#parts;
    return await this.#overdue.step(async (cursor) => {
      const overdue = await flow.jobs.overdue(now(), { limit: batch, cursor });
      for (const job of overdue.items) await flow.cancel(job.id, 'deadline_exceeded', now());
      return overdue.next;
    });
  }

  /** Puts back jobs whose leases have expired, and sends anew what seems to have lost its message. */
  async repair(): Promise<void> {
    const { pools, now } = this.#parts;
    for (const pool of await pools.active(now())) await this.repairPool(pool);
  }

  /**
   * Does what `repair` does, for one pool.
   * @param isTimeUp asked between groups of jobs
   * @returns whether nothing is left for the next time
   */
  async repairPool(pool: Pool, isTimeUp: () => boolean = () => false): Promise<boolean> {
    const isThrough = await this.#expireAll(pool, isTimeUp);
    const state = await this.#parts.pools.state(pool.id);
    const isSent = await this.#resends.look(pool.id, state, isTimeUp);
    await this.#keepActive(pool);
    return isThrough && isSent;
  }

  async #expireAll(pool: Pool, isTimeUp: () => boolean): Promise<boolean> {
    for await (const running of this.#parts.flow.jobs.unfinishedPages(pool.id, 'running', batch)) {
      await Promise.all(running.map(async (job) => this.#expire(job)));
      if (running.length === batch && isTimeUp()) return false;
    }
    return true;
  }

  /** A pool whose jobs wait for a day without a new one must not be forgotten. */
  async #keepActive(pool: Pool): Promise<void> {
    const { flow, pools, now } = this.#parts;
    if (now() - (this.#keptActive.get(pool.id) ?? 0) < keepActiveMs) return;
    rememberTime(this.#keptActive, pool.id, now(), keepActiveMs);
    const unfinished =
      (await flow.jobs.count(pool.id, 'queued', 1)) + (await flow.jobs.count(pool.id, 'running', 1));
    if (unfinished > 0) await pools.touch(pool, now());
    await flow.jobs.dataLife.renewInputs(pool.id, now());
  }

  /**
   * For a process that held every lease and has just started again: no lease is alive, and no message is certain.
   * @returns how many jobs were taken up again
   */
  async recover(): Promise<number> {
    const { flow, pools, now } = this.#parts;
    let recovered = 0;
    // Also those that count as inactive: the machine may have been off for days.
    for (const pool of await pools.all()) {
      let taken = await this.#sendAll(pool);
      for (;;) {
        const running = await flow.jobs.unfinished(pool.id, 'running', { limit: batch });
        if (running.length === 0) break;
        for (const job of running) await this.#lose(job);
        taken += running.length;
      }
      if (taken > 0) await pools.touch(pool, now());
      recovered += taken;
    }
    return recovered;
  }

  /**
   * Removes input, output and logs of what ended `retentionSeconds` ago or earlier; 0 keeps all. A call takes up a
   * bounded number, so that requests come in between; the next goes on.
   * @param rounds groups of jobs that it takes up
   * @returns whether there may be more of them
   */
  async removeOldData(rounds: number = removalRounds): Promise<boolean> {
    const { flow, now, retentionSeconds = 0 } = this.#parts;
    if (retentionSeconds === 0) return false;
    const { retention } = flow.jobs;
    const removeSome = async (cursor: string | undefined) => {
      const before = now() - retentionSeconds * 1000 + 1;
      const { items, next } = await retention.withData(before, { limit: removalBatch, cursor });
      if (items.length > 0) await retention.removeData(items);
      return next;
    };
    for (let round = 0; round < rounds; round += 1) {
      if (!(await this.#removals.step(removeSome))) return false;
      await turn();
    }
    return true;
  }

  /** Removes files that no result names, such as those of attempts that were lost. Bounded, as is `removeOldData`. */
  async removeLostFiles(rounds: number = removalRounds): Promise<boolean> {
    const { flow, now } = this.#parts;
    for (let round = 0; round < rounds; round += 1) {
      const settle = async (cursor: string | undefined) => flow.jobs.placedFiles.settle(now(), cursor);
      if (!(await this.#lostFiles.step(settle))) return false;
      await turn();
    }
    return true;
  }

  /** Looks every `deadlineMs` for deadlines and old data, every `repairMs` for the rest. Returns a function that stops it. */
  start({ deadlineMs, repairMs }: { deadlineMs: number; repairMs: number }): () => Promise<void> {
    const { now, logger } = this.#parts;
    let lookedAt = now();
    const repairUnlessAsleep = async () => {
      // Where this machine has slept, its runners have too: they get a turn to renew their leases.
      const slept = now() - lookedAt > 2 * repairMs;
      lookedAt = now();
      if (!slept) await this.repair();
    };
    const stopDeadlines = repeat(deadlineMs, async () => this.cancelOverdue(), logger);
    const stopRemoval = repeat(deadlineMs, async () => this.removeOldData(), logger);
    const stopFiles = repeat(repairMs, async () => this.removeLostFiles(), logger);
    const stopRepair = repeat(repairMs, repairUnlessAsleep, logger);
    return async () => {
      await Promise.all([stopDeadlines(), stopRemoval(), stopFiles(), stopRepair()]);
    };
  }

  async #expire(job: Job): Promise<void> {
    const heartbeat = await this.#parts.flow.jobs.heartbeat(job.id);
    const isRenewed = heartbeat?.attempt === job.attempt;
    const expiresAt = isRenewed ? heartbeat.expiresAt : (job.lease?.expiresAt ?? 0);
    if (expiresAt <= this.#parts.now()) await this.#lose(job, true);
  }

  /** @param unlessRenewed whether its runner may still be alive */
  async #lose(job: Job, unlessRenewed = false): Promise<void> {
    const { flow, now, logger } = this.#parts;
    const { id, attempt } = job;
    const heartbeat = await flow.jobs.heartbeat(id);
    const outputShown = heartbeat?.attempt === attempt && heartbeat.outputShown;
    const lost = { type: 'lease_lost', at: now(), attempt, outputShown, unlessRenewed } as const;
    if ((await flow.apply(id, lost))?.changed) logger.warn({ job: id, attempt }, 'lease lost');
  }

  /** @returns how many jobs were sent */
  async #sendAll(pool: Pool): Promise<number> {
    const { flow } = this.#parts;
    let sent = 0;
    for await (const waiting of flow.jobs.unfinishedPages(pool.id, 'queued', batch)) {
      for (const job of waiting) await flow.enqueue(job);
      sent += waiting.length;
    }
    return sent;
  }
}

/**
 * Runs `work` again and again, never twice at once; a failure is logged and the next turn comes all the same.
 * @returns a function that stops it, and resolves when nothing of it runs
 */
export function repeat(everyMs: number, work: () => Promise<unknown>, logger: Logger): () => Promise<void> {
  let running: Promise<unknown> | undefined;
  const timer = setInterval(() => {
    running ??= work()
      .catch((error: unknown) => logger.error({ err: error }, 'sweep failed'))
      .finally(() => {
        running = undefined;
      });
  }, everyMs);
  return async () => {
    clearInterval(timer);
    await running;
  };
}
