import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Instance, InstancePhase, Pool } from '../../services/core/pool.ts';
import { readGauges } from '../../services/sweeper/gauges.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { aJob } from '../support/jobs.ts';

const minute = 60_000;
let test: TestApi;
beforeEach(async () => {
  test = await openApi();
  // The beginning of a minute.
  test.clock.now = Math.ceil(test.clock.now / minute) * minute;
});
afterEach(async () => test.close());

/** A pool with so many waiting jobs of these ages, and these instances. */
async function aPool(
  hardware: string,
  ages: readonly number[],
  instances: readonly Partial<Instance>[] = [],
) {
  const id = `local/model@${hardware}-${ages.length}`;
  const version = 'a'.repeat(64);
  const pool: Pool = {
    id,
    account: 'local',
    model: 'local/model',
    version,
    hardware,
    concurrency: 1,
    streams: false,
  };
  const { now } = test.clock;
  await test.pools.touch(pool, now);
  for (const age of ages) {
    const job = aJob({ pool: id, hardware, createdAt: now - age * 1000 });
    await test.flow.jobs.create(job, {}, { traceparent: null, secrets: [] });
  }
  await test.pools.putState({
    pool: id,
    at: now,
    desired: 1,
    reason: '',
    instances: instances.map((instance, at) => anInstance(id, at, instance)),
    breaker: null,
    setupSeconds: [],
  });
  return id;
}

function anInstance(pool: string, at: number, different: Partial<Instance>): Instance {
  const phase: InstancePhase = 'ready';
  const times = { startedAt: 0, readyAt: null, idleSince: null };
  return { id: `i${at}`, pool, phase, running: 0, failure: null, setupLogs: '', ...times, ...different };
}

async function read(isTimeUp = () => false) {
  return await readGauges({ pools: test.pools, jobs: test.flow.jobs }, test.clock.now, isTimeUp);
}

it('the oldest job that waits, and instances that start or serve, are counted by hardware', async () => {
  await aPool('gpu-t4', [30, 700], [{ phase: 'ready' }, { phase: 'image' }, { phase: 'draining' }]);
  await aPool('gpu-t4', [90], [{ phase: 'failed' }]);
  await aPool('cpu', [], [{ phase: 'ready' }]);

  const { hardware } = await read();

  expect(hardware.toSorted((a, b) => (a.hardware < b.hardware ? -1 : 1))).toEqual([
    { hardware: 'cpu', instances: 1, oldestQueuedSeconds: 0 },
    { hardware: 'gpu-t4', instances: 2, oldestQueuedSeconds: 700 },
  ]);
});

it('a cold start is told of in one minute, the one after it', async () => {
  const readyAt = test.clock.now - 1;
  const pool = await aPool('gpu-t4', [], [{ startedAt: readyAt - 90_000, readyAt }, { startedAt: readyAt }]);
  const told = [];
  for (let round = 0; round < 3; round += 1) {
    // Rounds begin somewhere in their minute.
    test.clock.now += round === 0 ? 59_000 : minute - 20_000 * (round - 1);
    told.push((await read()).coldStarts);
  }

  expect(told).toEqual([[{ hardware: 'gpu-t4', pool, coldStartSeconds: 90 }], [], []]);
});

it('where time is up, what was not looked at is not counted', async () => {
  await aPool('cpu', [30]);

  expect(await read(() => true)).toEqual({ hardware: [], coldStarts: [] });
});
