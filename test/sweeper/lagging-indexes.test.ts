import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Job } from '../../services/core/job.ts';
import { Files } from '../../services/data/files.ts';
import { Sweeper } from '../../services/sweeper/app.ts';
import { removeExpiredFiles } from '../../services/sweeper/files.ts';
import { sweepRound } from '../../services/sweeper/round.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { aJob } from '../support/jobs.ts';
import { keepIndexEntries } from '../support/lagging-indexes.ts';

const logger = pino({ level: 'silent' });
const hour = 3_600_000;

let test: TestApi;
let sweeper: Sweeper;
/** What the table holds. */
let query: TestApi['table']['query'];
beforeEach(async () => {
  test = await openApi();
  query = test.table.query;
  keepIndexEntries(test.table);
  const now = () => test.clock.now;
  sweeper = new Sweeper({ ...test, now, retentionSeconds: 3600, logger });
});
afterEach(async () => test.close());

async function create(count: number, different: Partial<Job> = {}): Promise<readonly Job[]> {
  const jobs: Job[] = [];
  for (let at = 0; at < count; at += 1) {
    const job = aJob({ createdAt: test.clock.now + at, ...different });
    await test.flow.jobs.create(job, {}, { traceparent: null, secrets: [] });
    jobs.push(job);
  }
  return jobs;
}

async function countOf(index: 'due' | 'unfinished' | 'listing', pk: string): Promise<number> {
  return (await query({ index, pk }, { limit: 1000 })).items.length;
}

it('all that is overdue is canceled', async () => {
  await create(250, { deadlineAt: test.clock.now + 1 });
  test.clock.now += hour;

  while (await sweeper.cancelOverdue());

  expect(await countOf('due', 'DEADLINES')).toBe(0);
});

it('all old data is removed in a round, with all expired files and dead queues', async () => {
  const [pools, files] = [50, 120];
  for (let at = 0; at < pools; at += 1) {
    const id = `pool-${at}`;
    const of = { account: 'local', model: 'local/model', version: 'a'.repeat(64), hardware: 'cpu' };
    await test.pools.touch({ id, ...of, concurrency: 1, streams: false }, test.clock.now + at);
  }
  const stored = new Files(test.table);
  for (let at = 0; at < files; at += 1)
    await stored.begin({ id: `file-${at}`, account: 'local', expiresAt: test.clock.now + at });
  await create(110, { deadlineAt: test.clock.now + 1 });
  test.clock.now += hour;
  while (await sweeper.cancelOverdue());
  test.clock.now += 8 * 24 * hour;
  const parts = { ...test, sweeper, files: stored, hintWebhooks: async () => 0, logger };

  const report = await sweepRound({ ...parts, now: () => test.clock.now }, test.clock.now + hour);

  expect(report).toMatchObject({ isComplete: true, failed: [] });
  expect(await countOf('due', 'REMOVALS')).toBe(0);
  expect(await countOf('due', 'FILES')).toBe(0);
  expect(await countOf('listing', 'POOLS')).toBe(0);
});

it('all lost files are removed, and all expired ones by a call of their own', async () => {
  const { placedFiles } = test.flow.jobs;
  for (let at = 0; at < 250; at += 1) await placedFiles.note(aJob(), `file-${at}`, test.clock.now);
  const files = new Files(test.table);
  for (let at = 0; at < 250; at += 1)
    await files.begin({ id: `file-${at}`, account: 'local', expiresAt: test.clock.now + at });
  test.clock.now += 2 * hour;

  await sweeper.removeLostFiles();
  expect(await removeExpiredFiles({ files, objects: test.objects }, test.clock.now)).toBe(250);

  expect(await countOf('due', 'JOBFILES')).toBe(0);
});

it('all leases that were lost are, and all that waits for what cannot be served ends', async () => {
  const pool = aJob().pool;
  const lease = { type: 'leased', at: test.clock.now, instance: 'i', leaseMs: 60_000 } as const;
  for (const { id } of await create(250)) await test.flow.apply(id, lease);
  expect(await countOf('unfinished', `running#${pool}`)).toBe(250);
  test.clock.now += hour;

  const of = { account: 'local', model: 'local/model', version: 'a'.repeat(64), hardware: 'cpu' };
  await sweeper.repairPool({ id: pool, ...of, concurrency: 1, streams: false });
  expect(await countOf('unfinished', `queued#${pool}`)).toBe(250);
  const failure = { code: 'setup_failed', message: 'no' } as const;
  await test.api.dispatch.protocolFor({ role: 'director' }).refuse({ pool, failure, logs: '' });

  expect(await countOf('unfinished', `queued#${pool}`)).toBe(0);
});
