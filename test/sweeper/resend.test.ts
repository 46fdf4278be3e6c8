import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Pool } from '../../services/core/pool.ts';
import { Sweeper } from '../../services/sweeper/app.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { aJob } from '../support/jobs.ts';

const minute = 60_000;
const pool: Pool = {
  id: 'local/model@cpu',
  account: 'local',
  model: 'local/model',
  version: 'a'.repeat(64),
  hardware: 'cpu',
  concurrency: 1,
  streams: false,
};

let test: TestApi;
let sweeper: Sweeper;
/** Ids of jobs whose messages were sent, in order. */
let sent: string[];
beforeEach(async () => {
  test = await openApi();
  sent = [];
  test.queue.send = async (_, { jobId }) => void sent.push(jobId);
  sweeper = new Sweeper({ ...test, now: () => test.clock.now, logger: pino({ level: 'silent' }) });
});
afterEach(async () => test.close());

/** Jobs whose messages are lost. */
async function wait(count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const job = aJob({ createdAt: test.clock.now + at });
    await test.flow.jobs.create(job, {}, { traceparent: null, secrets: [] });
    ids.push(job.id);
  }
  return ids;
}

/** What a director says: one instance, which idles. */
async function report(): Promise<void> {
  const at = test.clock.now;
  const idle = { phase: 'ready', startedAt: at, readyAt: at, running: 0, idleSince: at } as const;
  const instances = [{ id: 'i', pool: pool.id, ...idle, failure: null, setupLogs: '' }];
  const state = { at, desired: 1, reason: '', instances, breaker: null, setupSeconds: [] };
  await test.pools.putState({ pool: pool.id, ...state });
}

it('a line whose director is gone is not sent again each minute, and is at last', async () => {
  await report();
  const ids = await wait(300);
  for (let minutes = 0; minutes < 10; minutes += 1) {
    test.clock.now += minute;
    expect(await sweeper.repairPool(pool)).toBe(true);
  }
  expect(sent).toEqual(ids);

  test.clock.now += minute;
  await sweeper.repairPool(pool);
  expect(sent).toEqual([...ids, ...ids]);
});

it('a long line goes out a part at a time, each job once, with those that join it', async () => {
  await report();
  const ids = await wait(1100);
  test.clock.now += minute;

  expect(await sweeper.repairPool(pool)).toBe(false);
  expect(sent).toEqual(ids.slice(0, 1000));
  const late = await wait(1);
  test.clock.now += minute;
  expect(await sweeper.repairPool(pool)).toBe(true);
  expect(sent).toEqual([...ids, ...late]);
});

it('a short line goes out each time while its director is there', async () => {
  const [id] = await wait(1);
  for (let minutes = 0; minutes < 3; minutes += 1) {
    await report();
    test.clock.now += minute;
    await sweeper.repairPool(pool);
  }

  expect(sent).toEqual([id, id, id]);
});

it('a look ends when its time is up, and the next one goes on', async () => {
  await report();
  const ids = await wait(250);
  test.clock.now += minute;

  expect(await sweeper.repairPool(pool, () => true)).toBe(false);
  expect(sent).toEqual(ids.slice(0, 100));
  expect(await sweeper.repairPool(pool)).toBe(true);
  expect(sent).toEqual(ids);
});
