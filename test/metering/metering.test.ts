import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Job } from '../../services/core/job.ts';
import { usageRecordOf } from '../../services/core/usage.ts';
import { Models } from '../../services/data/models.ts';
import { Pools } from '../../services/data/pools.ts';
import { toStored } from '../../services/data/stored.ts';
import { Usage } from '../../services/data/usage.ts';
import { createMetering } from '../../services/metering/app.ts';
import { endedLine } from '../../services/metering/ended-line.ts';
import type { Change, Table } from '../../services/ports/table/port.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';
import { aJob } from '../support/jobs.ts';

const endedAt = Date.UTC(2026, 10, 21);
const folders: string[] = [];
let table: Table;

async function openTable(): Promise<Table> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-metering-'));
  folders.push(folder);
  return openSqliteTable({ path: join(folder, 'table.db') });
}

beforeEach(async () => {
  table = await openTable();
});

afterEach(async () => {
  await table.close();
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

function ended(different: Partial<Job> = {}): Job {
  return aJob({
    status: 'succeeded',
    attempt: 1,
    startedAt: endedAt - 2000,
    completedAt: endedAt,
    billedMs: 2000,
    costMicroUsd: 200,
    ...different,
  });
}

function change(after: Job, before: Job | undefined, id = after.id): Change {
  const key = { pk: `JOB#${after.id}`, sk: 'JOB' };
  return {
    id,
    key,
    before: before && { ...key, data: toStored(before) },
    after: { ...key, data: toStored(after) },
  };
}

async function ledger(): Promise<readonly { id: string; costMicroUsd: number }[]> {
  return (await new Usage(table).list('local', endedAt, { limit: 1000 })).items;
}

describe('metering', () => {
  it('writes one priced record for a job that ended', async () => {
    const job = ended();

    await createMetering(table).handle([change(job, { ...job, status: 'processing' })]);

    expect(await ledger()).toEqual([
      expect.objectContaining({ id: job.id, billedMs: 2000, costMicroUsd: 200 }),
    ]);
    expect(await new Usage(table).get({ ...job, endedAt })).toMatchObject({ ...usageRecordOf(job) });
    expect(await new Models(table).runCount('local/model')).toBe(1);
    expect(await new Pools(table).runSeconds('local/model@cpu')).toEqual([2]);
  });

  it('goes on from a run count of the release before, which was put and not added to', async () => {
    const item = { pk: 'MODEL#local/model', sk: 'RUNS', data: toStored({ count: 41 }) };
    await table.write([{ op: 'put', item }]);

    await createMetering(table).handle([change(ended(), undefined)]);

    expect(await new Models(table).runCount('local/model')).toBe(42);
  });

  it('takes jobs of as many models and pools as there are', async () => {
    const jobs = Array.from({ length: 120 }, (_, at) =>
      ended({ model: `local/m${at}`, pool: `local/m${at}@cpu` }),
    );

    await createMetering(table).handle(jobs.map((job) => change(job, { ...job, status: 'processing' })));

    expect((await ledger()).map(({ id }) => id).sort()).toEqual(jobs.map(({ id }) => id).sort());
    expect(await new Models(table).runCount('local/m119')).toBe(1);
  });

  it('tells of each job that it has recorded once, with what figures are made of', async () => {
    const lines: unknown[] = [];
    const metering = createMetering(table, (job) => void lines.push(endedLine(job)));
    const createdAt = endedAt - 5000;
    const done = ended({ createdAt });
    const refused = ended({
      createdAt,
      status: 'failed',
      failure: { code: 'setup_failed', message: 'No.' },
      startedAt: null,
      billedMs: 0,
      costMicroUsd: 0,
    });

    await metering.handle([change(done, undefined)]);
    await metering.handle([change(done, undefined, 'again'), change(refused, undefined)]);

    const { id: job, hardware } = done;
    const common = { hardware, waitSeconds: 3, billedMs: 2000, costMicroUsd: 200 };
    const nothing = { waitSeconds: 5, billedMs: 0, costMicroUsd: 0 };
    expect(lines).toEqual([
      { ...common, job, status: 'succeeded', code: null },
      { ...common, ...nothing, job: refused.id, status: 'failed', code: 'setup_failed' },
    ]);
  });

  it('records nothing for a job that has not ended', async () => {
    const job = aJob({ status: 'processing', startedAt: endedAt, attempt: 1 });

    await createMetering(table).handle([change(job, undefined)]);

    expect(await ledger()).toEqual([]);
  });

  it('counts each job once, however deliveries are repeated, split, mixed and cut short', async () => {
    const groupsOfPlaces = fc.array(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 80 }), {
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(groupsOfPlaces, fc.infiniteStream(fc.nat(5)), async (groups, luck) => {
        const fresh = await openTable();
        const jobs = Array.from({ length: 61 }, (_, index) => ended({ model: `local/model-${index % 3}` }));
        const changesIn = (group: readonly number[]) =>
          group.flatMap((index) => (jobs[index] ? [change(jobs[index], undefined)] : []));
        const cutShort = createMetering(failing(fresh, () => luck.next().value));

        for (const group of groups) await cutShort.handle(changesIn(group)).catch(() => undefined);
        // What failed is handed out again, and not alone.
        for (const group of groups.toReversed()) await createMetering(fresh).handle(changesIn(group));

        const delivered = new Set(groups.flat());
        const records = (await new Usage(fresh).list('local', endedAt, { limit: 1000 })).items;
        const counts = await Promise.all(
          [0, 1, 2].map(async (index) => new Models(fresh).runCount(`local/model-${index}`)),
        );
        const counters = await new Usage(fresh).counters('local', '2026-11');
        await fresh.close();
        const total = counters.find(({ of }) => of === 'TOTAL')?.sums.costMicroUsd ?? 0;
        expect(total).toBe(200 * delivered.size);
        expect(new Set(records.map(({ id }) => id)).size).toBe(delivered.size);
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(delivered.size);
      }),
      { numRuns: 100 },
    );
  });
});

/** A table whose writes fail now and then: before anything is written, or so that the answer is lost. */
function failing(table: Table, luck: () => number): Table {
  return {
    ...table,
    async write(ops) {
      const outcome = luck();
      if (outcome === 0) throw new Error('throttled');
      await table.write(ops);
      if (outcome === 1) throw new Error('the answer was lost');
    },
  };
}
