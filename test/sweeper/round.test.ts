import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Pool } from '../../services/core/pool.ts';
import { Files } from '../../services/data/files.ts';
import { Sweeper } from '../../services/sweeper/app.ts';
import { type RoundParts, sweepRound } from '../../services/sweeper/round.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { aJob } from '../support/jobs.ts';

const week = 7 * 24 * 3_600_000;
const logger = pino({ level: 'silent' });

let test: TestApi;
let parts: RoundParts;
/** Ids of pools that were looked at, in order. */
let looked: string[];
/** What a look at a pool takes, ms. */
let lookMs: number;

class ObservedSweeper extends Sweeper {
  override async repairPool(pool: Pool, isTimeUp?: () => boolean): Promise<boolean> {
    looked.push(pool.id);
    test.clock.now += lookMs;
    return await super.repairPool(pool, isTimeUp);
  }
}

beforeEach(async () => {
  test = await openApi();
  looked = [];
  lookMs = 0;
  const now = () => test.clock.now;
  parts = {
    ...test,
    sweeper: new ObservedSweeper({ ...test, now, retentionSeconds: 3600, logger }),
    files: new Files(test.table),
    hintWebhooks: async () => 0,
    now,
    logger,
  };
});
afterEach(async () => test.close());

function aPool(id: string): Pool {
  return {
    id,
    account: 'local',
    model: 'local/model',
    version: 'a'.repeat(64),
    hardware: 'cpu',
    concurrency: 1,
    streams: false,
  };
}

async function round(forMs = 60_000) {
  return await sweepRound(parts, test.clock.now + forMs);
}

async function end(): Promise<string> {
  const job = aJob({ createdAt: test.clock.now });
  await test.flow.jobs.create(job, { text: 'hi' }, { traceparent: null, secrets: [] });
  await test.flow.cancel(job.id, 'canceled', test.clock.now);
  return job.id;
}

describe('a round', () => {
  it('looks at all, and says so', async () => {
    const deadlineAt = test.clock.now + 5000;
    const late = aJob({ createdAt: test.clock.now, deadlineAt });
    await test.flow.jobs.create(late, {}, { traceparent: null, secrets: [] });
    const old = await end();
    await test.pools.touch(aPool('local/model@cpu'), test.clock.now);
    test.clock.now += 3_600_000;

    expect(await round()).toEqual({
      isComplete: true,
      pools: 1,
      webhooks: 0,
      oldestQueuedSeconds: 0,
      failed: [],
    });
    expect((await test.flow.jobs.get(late.id))?.status).toBe('canceled');
    expect((await test.flow.jobs.get(old))?.dataRemoved).toBe(true);
  });

  it('ends when its time is up, and the next one goes on from there', async () => {
    const ids = Array.from({ length: 24 }, (_, at) => `pool-${String(at).padStart(2, '0')}`);
    for (const id of ids) await test.pools.touch(aPool(id), test.clock.now);
    const old = await end();
    test.clock.now += 3_600_000;
    lookMs = 1000;

    expect(await round(10_000)).toMatchObject({ isComplete: false, pools: 8 });
    expect((await test.flow.jobs.get(old))?.dataRemoved).toBe(true);
    expect(await round(10_000)).toMatchObject({ isComplete: false, pools: 8 });
    lookMs = 0;
    expect(await round()).toMatchObject({ isComplete: true, pools: 24 });

    expect(looked.slice(0, 24)).toEqual(ids);
    looked = [];
    await round();
    expect(looked).toEqual(ids);
  });

  it('does the rest where a part fails', async () => {
    const old = await end();
    test.clock.now += 3_600_000;
    parts = {
      ...parts,
      hintWebhooks: async () => {
        throw new Error('no queue');
      },
    };

    expect(await round()).toMatchObject({ isComplete: false, failed: ['webhooks'] });
    expect((await test.flow.jobs.get(old))?.dataRemoved).toBe(true);
  });
});

describe('a pool without a job for a week', () => {
  const pool = aPool('local/model@cpu');

  /** Whether its queue still holds the message that was sent. */
  async function hasQueue(): Promise<boolean> {
    const received = await test.queue.receive(pool.id, { waitSeconds: 0 });
    await received?.release();
    return received !== undefined;
  }

  beforeEach(async () => {
    await test.pools.touch(pool, test.clock.now);
    await test.queue.send(pool.id, { jobId: 'gone', group: 'local' });
  });

  it('loses its queue, and gets one again with its next job', async () => {
    test.clock.now += week;
    await round();
    expect(await hasQueue()).toBe(true);
    test.clock.now += 1;
    await round();

    expect(await hasQueue()).toBe(false);
    expect(await test.pools.all()).toEqual([]);
    expect(await test.pools.get(pool.id)).toMatchObject(pool);
    await test.pools.touch(pool, test.clock.now);
    expect(await test.pools.active(test.clock.now)).toMatchObject([pool]);
  });

  it('keeps its queue while a job of it waits', async () => {
    const job = aJob({ createdAt: test.clock.now, pool: pool.id });
    await test.flow.jobs.create(job, {}, { traceparent: null, secrets: [] });
    test.clock.now += week + 1;
    await round();

    expect(await hasQueue()).toBe(true);
    expect(await test.pools.active(test.clock.now)).toMatchObject([pool]);
  });

  it('is not retired where a job came meanwhile', async () => {
    const [idle] = (await test.pools.idleSince(test.clock.now + 1, { limit: 1 })).items;
    test.clock.now += 1000;
    await test.pools.touch(pool, test.clock.now);

    expect(idle && (await test.pools.retire(idle))).toBe(false);
    expect(await test.pools.all()).toMatchObject([pool]);
  });
});
