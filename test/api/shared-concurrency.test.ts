import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SharedConcurrency } from '../../services/api/shared-concurrency.ts';
import { JobFlow } from '../../services/data/job-flow.ts';
import { createMemoryLimits } from '../../services/ports/limits/memory.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { aJob } from '../support/jobs.ts';

let test: TestApi;
let concurrency: SharedConcurrency;
/** Where nobody counts, as in the sweeper. */
let elsewhere: JobFlow;
beforeEach(async () => {
  test = await openApi();
  concurrency = new SharedConcurrency(
    150,
    createMemoryLimits(() => test.clock.now),
    test.flow,
  );
  elsewhere = new JobFlow({ jobs: test.flow.jobs, queue: test.queue, channel: test.channel });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await test.close();
});

async function enter(count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const job = aJob({ createdAt: test.clock.now });
    await test.flow.jobs.create(job, {}, { traceparent: null, secrets: [] });
    await concurrency.enter('local', job.id);
    ids.push(job.id);
  }
  return ids;
}

async function endElsewhere(ids: readonly string[]): Promise<void> {
  for (const id of ids) await elsewhere.cancel(id, 'deadline_exceeded', test.clock.now);
}

it('finds the places of jobs that ended elsewhere behind those of many that still run', async () => {
  await enter(60);
  await endElsewhere(await enter(90));
  test.clock.now += 3_600_000;

  await concurrency.enter('local', 'next');
});

it('goes on behind them with the next look, and begins anew at the end', async () => {
  const first = await enter(125);
  const last = await enter(25);
  test.clock.now += 3_600_000;
  const later = performance.now();

  await expect(concurrency.enter('local', 'next')).rejects.toThrow();
  await endElsewhere([first[124] ?? '']);
  vi.spyOn(performance, 'now').mockReturnValue(later + 5000);
  await concurrency.enter('local', 'next');
  await endElsewhere([first[0] ?? '', last[0] ?? '']);
  for (const [at, id] of ['more', 'most'].entries()) {
    vi.spyOn(performance, 'now').mockReturnValue(later + 10_000 + 5000 * at);
    await concurrency.enter('local', id);
  }
});
