import { setImmediate as turn } from 'node:timers/promises';
import { hasEnded, type Job } from '../core/job.ts';
import { billingMonth, type UsageRecord, usageRecordOf } from '../core/usage.ts';
import { isEndedJob } from '../data/jobs.ts';
import { runCountOp } from '../data/models.ts';
import { fromStored, toStored } from '../data/stored.ts';
import { counterOp, countersOf, recordOp, sumUp } from '../data/usage.ts';
import {
  type Change,
  type ChangeConsumer,
  ConflictError,
  maxWriteOps,
  type Table,
  type WriteOp,
} from '../ports/table/port.ts';

/** Run times that are remembered for each pool. */
const historyLength = 50;

/** A job that has ended, with its line of the ledger and the counters of its account's month that it is in. */
interface Ended {
  readonly job: Job;
  readonly record: UsageRecord;
  readonly month: string;
  readonly counters: readonly string[];
}

/**
 * Turns ended jobs into usage records, counters and run-time histories. Each record is conditional on being the first
 * of its job and counters move in the same transaction, so a change that is delivered twice counts once.
 * @param onRecorded told of each job that was put into the ledger
 */
export function createMetering(
  table: Table,
  onRecorded: (job: Job) => void = () => undefined,
): ChangeConsumer {
  return {
    name: 'metering',
    async handle(changes) {
      await recordEnded(table, endedJobs(changes), onRecorded);
    },
  };
}

/**
 * Puts jobs that have ended into the ledger, each once however often this is called.
 * @param onRecorded told of each job that was not there yet
 */
export async function recordEnded(
  table: Table,
  jobs: readonly Job[],
  onRecorded: (job: Job) => void = () => undefined,
): Promise<void> {
  const ended = jobs.flatMap((job) => {
    const record = usageRecordOf(job);
    if (!record) return [];
    return [{ job, record, month: billingMonth(record.endedAt), counters: countersOf(record) }];
  });
  for (const [at, batch] of inBatches(ended).entries()) {
    // Where requests are served by the same thread, they come first.
    if (at > 0) await turn();
    for (const { job } of await record(table, batch)) onRecorded(job);
  }
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

/** Cut so that each batch is one transaction: its records, and the items that are summed up in. */
function inBatches(ended: readonly Ended[]): readonly (readonly Ended[])[] {
  const batches: Ended[][] = [];
  let batch: Ended[] = [];
  let sums = new Set<string>();
  for (const one of ended) {
    const names = sumsOf(one);
    const more = names.filter((name) => !sums.has(name)).length;
    if (batch.length + 1 + sums.size + more > maxWriteOps) {
      batches.push(batch);
      batch = [];
      sums = new Set();
    }
    batch.push(one);
    for (const name of names) sums.add(name);
  }
  return batch.length > 0 ? [...batches, batch] : batches;
}

/** Names of the items that a job is summed up in. */
function sumsOf({ job, month, counters }: Ended): readonly string[] {
  return [
    ...counters.map((of) => `${job.account} ${month} ${of}`),
    `runs ${job.model}`,
    `history ${job.pool}`,
  ];
}

/** @returns those that were not recorded before */
async function record(table: Table, ended: readonly Ended[]): Promise<readonly Ended[]> {
  let pending = ended;
  while (pending.length > 0) {
    const ops = [...pending.map(({ record }) => recordOp(record)), ...(await summingOps(table, pending))];
    try {
      await table.write(ops);
      return pending;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      // Records that are there already were counted by an earlier delivery.
      const counted = new Set(error.failed);
      pending = pending.filter((_, place) => !counted.has(place));
    }
  }
  return [];
}

async function summingOps(table: Table, ended: readonly Ended[]): Promise<readonly WriteOp[]> {
  const models = Map.groupBy(ended, ({ job }) => job.model);
  const pools = Map.groupBy(ended, ({ job }) => job.pool);
  return [
    ...usageOps(ended),
    ...[...models].map(([model, group]) => runCountOp(model, group.length)),
    ...(await Promise.all([...pools].map(async ([pool, group]) => historyOp(table, pool, group)))),
  ];
}

function usageOps(ended: readonly Ended[]): readonly WriteOp[] {
  const months = Map.groupBy(ended, ({ job, month }) => `${month} ${job.account}`);
  return [...months.values()].flatMap((inMonth) => {
    const [first] = inMonth;
    if (!first) return [];
    const groups = new Map<string, UsageRecord[]>();
    for (const { record, counters } of inMonth) {
      for (const of of counters) {
        const group = groups.get(of);
        if (group) group.push(record);
        else groups.set(of, [record]);
      }
    }
    return [...groups].map(([of, group]) => counterOp(first.job.account, first.month, of, sumUp(group)));
  });
}

async function historyOp(table: Table, pool: string, ended: readonly Ended[]): Promise<WriteOp> {
  const key = { pk: `POOL#${pool}`, sk: 'HISTORY' };
  const item = await table.get(key);
  const before = item ? fromStored<{ runSeconds: number[] }>(item).runSeconds : [];
  const runs = ended.flatMap(({ job }) =>
    job.status === 'succeeded' && job.startedAt !== null && job.completedAt !== null
      ? [(job.completedAt - job.startedAt) / 1000]
      : [],
  );
  return {
    op: 'put',
    item: { ...key, data: toStored({ runSeconds: [...before, ...runs].slice(-historyLength) }) },
  };
}
