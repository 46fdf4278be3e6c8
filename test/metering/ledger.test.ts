import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Job } from '../../services/core/job.ts';
import { jobItem } from '../../services/data/job-items.ts';
import { counterOp, Usage } from '../../services/data/usage.ts';
import { createMetering } from '../../services/metering/app.ts';
import { type LedgerOptions, type LedgerReport, verifyLedger } from '../../services/metering/ledger.ts';
import type { Table } from '../../services/ports/table/port.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';
import { aJob } from '../support/jobs.ts';

const endedAt = Date.UTC(2026, 9, 31, 23, 59, 59);
const now = endedAt + 3_600_000;
let folder: string;
let table: Table;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mimeo-ledger-'));
  table = openSqliteTable({ path: join(folder, 'table.db'), now: () => now });
});
afterEach(async () => {
  await table.close();
  await rm(folder, { recursive: true });
});

async function aRun(different: Partial<Job> = {}): Promise<Job> {
  const times = { createdAt: endedAt - 3000, startedAt: endedAt - 2000, completedAt: endedAt };
  const billed = { billedMs: 2000, costMicroUsd: 200 };
  const job = aJob({ status: 'succeeded', attempt: 1, ...times, ...billed, ...different });
  await table.write([{ op: 'put', item: jobItem(job) }]);
  return job;
}

async function meter(...jobs: readonly Job[]): Promise<void> {
  const changes = jobs.map((job) => {
    const after = jobItem(job);
    return { id: job.id, key: after, before: undefined, after };
  });
  await createMetering(table).handle(changes);
}

async function verify(options: Partial<LedgerOptions> = {}): Promise<LedgerReport> {
  return await verifyLedger({ table, accounts: ['local'], now: () => now, settleMs: 1, ...options });
}

/** Counts pages of records that are read. */
function observePages(): { read: number } {
  const { query } = table;
  const pages = { read: 0 };
  table.query = async (partition, options) => {
    if (partition.pk.startsWith('USAGE#')) pages.read += 1;
    return await query(partition, options);
  };
  return pages;
}

describe('the ledger', () => {
  it('is right where each job that ended has its record and is in the sums', async () => {
    const jobs = [await aRun(), await aRun({ completedAt: endedAt + 2000, model: 'local/other' })];
    await aRun({ status: 'processing', completedAt: null, billedMs: null, costMicroUsd: null });
    await meter(...jobs);

    expect(await verify()).toMatchObject({ accounts: 1, jobs: 2, records: 2, busy: [], differences: [] });
  });

  it('lacks what was not metered, and gets it by a repair, once', async () => {
    const missing = await aRun();
    await meter(await aRun());

    const difference = { kind: 'missing_record', account: 'local', job: missing.id, costMicroUsd: 200 };
    expect((await verify()).differences).toEqual([{ ...difference, repaired: false }]);
    expect((await verify({ repair: true })).differences).toEqual([{ ...difference, repaired: true }]);
    expect((await verify()).differences).toEqual([]);
    await meter(missing);
    expect((await verify()).differences).toEqual([]);
  });

  it('is right after one repair where an older release counted a job and kept its record elsewhere', async () => {
    const job = await aRun();
    await meter(job);
    const { items } = await table.query({ pk: 'USAGE#local#2026-10' }, { limit: 1 });
    await table.write(items.map((key) => ({ op: 'delete', key })));

    await verify({ repair: true });

    expect(await verify()).toMatchObject({ records: 1, differences: [] });
    expect((await new Usage(table).counters('local', '2026-10'))[0]?.sums.runs).toBe(1);
  });

  it('may still get the record of a job that has just ended', async () => {
    await aRun({ completedAt: now - 1000 });

    expect(await verify()).toMatchObject({ jobs: 1, onTheirWay: 1, differences: [] });
  });

  it('holds no record of a job that there is not, has not ended, or says otherwise', async () => {
    const other = await aRun();
    const unended = await aRun();
    const absent = await aRun();
    await meter(other, unended, absent);
    await table.write([
      { op: 'put', item: jobItem({ ...other, billedMs: 1000 }) },
      { op: 'put', item: jobItem({ ...unended, status: 'processing', completedAt: null }) },
      { op: 'delete', key: { pk: `JOB#${absent.id}`, sk: 'JOB' } },
    ]);

    const { differences } = await verify({ repair: true });

    expect(new Set(differences)).toEqual(
      new Set([
        { kind: 'wrong_record', account: 'local', job: other.id, fields: ['billedMs'], repaired: false },
        ...[
          { job: unended.id, why: 'the job has not ended' },
          { job: absent.id, why: 'there is no such job' },
        ].map((one) => ({
          kind: 'superfluous_record',
          account: 'local',
          costMicroUsd: 200,
          repaired: false,
          ...one,
        })),
      ]),
    );
  });

  it('has sums that a repair sets right', async () => {
    await meter(await aRun());
    const more = { runs: 1, billedMs: 5, costMicroUsd: 7 };
    await table.write([counterOp('local', '2026-10', 'TOTAL', more)]);

    const { differences } = await verify({ repair: true });

    expect(differences).toMatchObject([
      { kind: 'wrong_counter', month: '2026-10', of: 'TOTAL', expected: { runs: 1 }, found: { runs: 2 } },
    ]);
    const counters = await new Usage(table).counters('local', '2026-10');
    expect(counters.find(({ of }) => of === 'TOTAL')?.sums).toEqual({
      runs: 1,
      billedMs: 2000,
      costMicroUsd: 200,
    });
  });

  it('is not blamed for a month that is counted in while it is looked at', async () => {
    await meter(await aRun());
    const query = table.query.bind(table);
    const counting: Table = {
      ...table,
      async query(partition, options) {
        const more = { runs: 1, billedMs: 0, costMicroUsd: 0 };
        if (partition.pk.startsWith('USAGE#'))
          await table.write([counterOp('local', '2026-10', 'TOTAL', more)]);
        return await query(partition, options);
      },
    };

    const report = await verify({ table: counting });

    expect(report).toMatchObject({ busy: ['local 2026-10'], differences: [] });
  });

  it('is looked at in part where time is up', async () => {
    await meter(await aRun());

    const report = { jobs: 0, isComplete: false, stoppedAt: 'local' };
    expect(await verify({ isTimeUp: () => true })).toMatchObject(report);
  });

  it('is not read on when time is up amid a month', async () => {
    const jobs: Job[] = [];
    for (let at = 0; at < 450; at += 1) jobs.push(await aRun({ completedAt: endedAt - at }));
    await meter(...jobs);
    const pages = observePages();
    // Between two pages, and between two looks at sums that differ.
    const first = await verify({ isTimeUp: () => pages.read > 1 });
    expect(first).toMatchObject({ records: 400, isComplete: false, differences: [] });
    await table.write([counterOp('local', '2026-10', 'TOTAL', { runs: 1, billedMs: 0, costMicroUsd: 0 })]);
    pages.read = 0;
    const second = await verify({ isTimeUp: () => pages.read > 2 });

    expect(second).toMatchObject({ records: 450, isComplete: false, differences: [] });
    expect(pages.read).toBe(3);
  });

  it('costs no read of a job for each record from before its time', async () => {
    const jobs: Job[] = [];
    for (let at = 0; at < 3; at += 1)
      jobs.push(await aRun({ createdAt: endedAt - 9000, completedAt: endedAt - 5000 - at }));
    await meter(...jobs, await aRun());
    const get = vi.spyOn(table, 'get');

    expect(await verify({ since: endedAt - 4000 })).toMatchObject({ jobs: 1, records: 4, differences: [] });
    expect(get.mock.calls.filter(([{ sk }]) => sk === 'JOB')).toEqual([]);
  });
});
