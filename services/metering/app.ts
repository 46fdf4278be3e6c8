import { setImmediate as turn } from 'node:timers/promises';
import { hasEnded, type Job } from '../core/job.ts';
import { billingMonth, type UsageRecord, usageRecordOf } from '../core/usage.ts';
import { isEndedJob } from '../data/jobs.ts';
import { fromStored, timeKey, toStored } from '../data/stored.ts';
import {
  type Change,
  type ChangeConsumer,
  ConflictError,
  maxWriteOps,
  type Table,
  type WriteOp,
} from '../ports/table/port.ts';

/** Jobs that are recorded in one go: each may bring its record, its model's counter and its pool's history. */
const recordsPerWrite = Math.floor(maxWriteOps / 3);
/** Run times that are remembered for each pool. */
const historyLength = 50;

/**
 * Turns ended jobs into usage records, run counts and run-time histories. Each record is conditional on being the
 * first of its job and counters move in the same transaction, so a change that is delivered twice counts once.
 */
export function createMetering(table: Table): ChangeConsumer {
  return {
    name: 'metering',
    async handle(changes) {
      const jobs = endedJobs(changes);
      for (let start = 0; start < jobs.length; start += recordsPerWrite) {
        // Where requests are served by the same thread, they come first.
        if (start > 0) await turn();
        await record(table, jobs.slice(start, start + recordsPerWrite));
      }
    },
  };
}

function endedJobs(changes: readonly Change[]): readonly Job[] {
  const ended = new Map<string, Job>();
  for (const { before, after } of changes) {
    if (!after || !isEndedJob(after)) continue;
    const job = fromStored<Job>(after);
    const had = before && hasEnded(fromStored<Job>(before).status);
    if (!had) ended.set(job.id, job);
  }
  return [...ended.values()];
}

async function record(table: Table, jobs: readonly Job[]): Promise<void> {
  let pending = jobs;
  while (pending.length > 0) {
    const records = pending.flatMap((job) => usageRecordOf(job) ?? []);
    const ops = [...records.map(usageOp), ...(await counterOps(table, pending))];
    try {
      await table.write(ops);
      return;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      // Records that are there already were counted by an earlier delivery. A counter that moved is read again.
      const counted = new Set(error.failed.filter((place) => place < records.length));
      pending = pending.filter((_, place) => !counted.has(place));
    }
  }
}

function usageOp(usage: UsageRecord): WriteOp {
  const listing = {
    pk: `USAGE#${usage.account}#${billingMonth(usage.endedAt)}`,
    sk: `${timeKey(usage.endedAt)}#${usage.id}`,
  };
  return {
    op: 'put',
    item: { pk: `USAGE#${usage.id}`, sk: 'USAGE', data: toStored(usage), keys: { listing } },
    when: { absent: true },
  };
}

async function counterOps(table: Table, jobs: readonly Job[]): Promise<readonly WriteOp[]> {
  const models = Map.groupBy(jobs, (job) => job.model);
  const pools = Map.groupBy(jobs, (job) => job.pool);
  return Promise.all([
    ...[...models].map(([model, group]) => runCountOp(table, model, group.length)),
    ...[...pools].map(([pool, group]) => historyOp(table, pool, group)),
  ]);
}

async function runCountOp(table: Table, model: string, more: number): Promise<WriteOp> {
  const key = { pk: `MODEL#${model}`, sk: 'RUNS' };
  const count = Number((await table.get(key))?.data.count ?? 0);
  return {
    op: 'put',
    item: { ...key, data: toStored({ count: count + more }) },
    when: count === 0 ? { absent: true } : { equals: { count } },
  };
}

async function historyOp(table: Table, pool: string, jobs: readonly Job[]): Promise<WriteOp> {
  const key = { pk: `POOL#${pool}`, sk: 'HISTORY' };
  const item = await table.get(key);
  const before = item ? fromStored<{ runSeconds: number[] }>(item).runSeconds : [];
  const runs = jobs.flatMap((job) =>
    job.status === 'succeeded' && job.startedAt !== null && job.completedAt !== null
      ? [(job.completedAt - job.startedAt) / 1000]
      : [],
  );
  return {
    op: 'put',
    item: { ...key, data: toStored({ runSeconds: [...before, ...runs].slice(-historyLength) }) },
  };
}
