import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PredictionBody } from '../../services/api/schemas.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import type { FleetProtocol } from '../../services/ports/fleet-protocol/port.ts';
import { Sweeper } from '../../services/sweeper/app.ts';
import { openApi, type TestApi } from '../support/api.ts';

const soon = { instance: 'instance-1', waitSeconds: 0 };
const version = 'a'.repeat(64);
const pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });

let test: TestApi;
let sweeper: Sweeper;
let runner: FleetProtocol;
beforeEach(async () => {
  test = await openApi();
  await test.addModel({ name: 'echo' }, { id: version, streams: true });
  sweeper = new Sweeper({ ...test, now: () => test.clock.now, logger: pino({ level: 'silent' }) });
  runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
});
afterEach(async () => test.close());

async function create(headers?: Record<string, string>): Promise<string> {
  const response = await test.call('POST', '/v1/models/local/echo/predictions', { input: {} }, headers);
  expect(response.status).toBe(201);
  return ((await response.json()) as PredictionBody).id;
}

async function read(id: string): Promise<PredictionBody> {
  return (await (await test.call('GET', `/v1/predictions/${id}`)).json()) as PredictionBody;
}

/** A runner that takes every message and then dies. */
async function loseMessages(): Promise<void> {
  for (;;) {
    const lost = await test.queue.receive(pool, { waitSeconds: 0 });
    if (!lost) return;
    await lost.remove();
  }
}

async function reportIdleInstance(idleForMs: number): Promise<void> {
  const at = test.clock.now - idleForMs;
  const instance = {
    id: soon.instance,
    pool,
    phase: 'ready',
    startedAt: at,
    readyAt: at,
    running: 0,
    idleSince: at,
    failure: null,
    setupLogs: '',
  } as const;
  await test.pools.putState({
    pool,
    at,
    desired: 1,
    reason: '',
    instances: [instance],
    breaker: null,
    setupSeconds: [],
  });
}

describe('Cancel-After', () => {
  it('cancels what is over its time and nothing else', async () => {
    const short = await create({ 'cancel-after': '5s' });
    const long = await create({ 'cancel-after': '1h' });
    const unlimited = await create();

    test.clock.now += 4999;
    await sweeper.cancelOverdue();
    expect((await read(short)).status).toBe('starting');
    test.clock.now += 1;
    await sweeper.cancelOverdue();

    expect(await read(short)).toMatchObject({ status: 'canceled', code: 'aborted' });
    expect((await read(long)).status).toBe('starting');
    expect((await read(unlimited)).status).toBe('starting');
  });
});

describe('repair', () => {
  it('leaves a lease alone until it has run out, then puts the job back', async () => {
    const id = await create();
    await runner.lease(soon);

    test.clock.now += 59_000;
    await sweeper.repair();
    expect((await read(id)).status).toBe('processing');
    test.clock.now += 1001;
    await sweeper.repair();

    expect((await read(id)).status).toBe('starting');
    expect(await runner.lease(soon)).toMatchObject({ id, attempt: 2 });
  });

  it.each([1, 3])(
    'leaves a lease alone that is renewed as attempt %i is about to be lost',
    async (attempts) => {
      const id = await create();
      for (let lost = 1; lost < attempts; lost += 1) {
        await runner.lease(soon);
        test.clock.now += 60_001;
        await sweeper.repair();
      }
      const job = await runner.lease(soon);
      const refs = [{ id, attempt: job?.attempt ?? 0 }];
      await runner.heartbeat({ instance: soon.instance, jobs: refs });
      test.clock.now += 60_001;
      const { write } = test.table;
      vi.spyOn(test.table, 'write').mockImplementationOnce(async (...args) => {
        expect(await runner.heartbeat({ instance: soon.instance, jobs: refs })).toEqual({ stop: [] });
        await write(...args);
      });

      await sweeper.repair();

      expect(await read(id)).toMatchObject({ status: 'processing' });
      expect((await test.flow.jobs.get(id))?.attempt).toBe(attempts);
    },
  );

  it('gives a job up whose lease was lost three times', async () => {
    const id = await create();
    for (let lost = 0; lost < 3; lost += 1) {
      await runner.lease(soon);
      test.clock.now += 60_001;
      await sweeper.repair();
    }

    expect(await read(id)).toMatchObject({ status: 'failed', code: 'instance_lost', cost: { micro_usd: 0 } });
  });

  it('sends a job anew whose message was lost while an instance has nothing to do', async () => {
    const id = await create();
    await loseMessages();
    test.clock.now += 30_001;
    await reportIdleInstance(5000);

    await sweeper.repair();

    expect((await runner.lease(soon))?.id).toBe(id);
  });

  it('does not flood the queue of a pool whose instances are busy', async () => {
    await create();
    await loseMessages();
    test.clock.now += 3_600_000;

    await sweeper.repair();

    expect(await runner.lease(soon)).toBeNull();
  });

  it('does not flood the queue of a pool whose instance is between two jobs', async () => {
    await create();
    await loseMessages();
    test.clock.now += 30_001;
    await reportIdleInstance(10);

    await sweeper.repair();

    expect(await runner.lease(soon)).toBeNull();
  });

  it('goes by the last sign of life where the clock was set back', async () => {
    const id = await create();
    const job = await runner.lease(soon);
    test.clock.now -= 3_600_000;
    await runner.heartbeat({ instance: soon.instance, jobs: [{ id, attempt: job?.attempt ?? 0 }] });

    test.clock.now += 60_001;
    await sweeper.repair();

    expect((await read(id)).status).toBe('starting');
  });
});

describe('a sweeper that runs', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Time that the machine sees pass; the clock goes on with it. */
  async function pass(ms: number): Promise<void> {
    test.clock.now += ms;
    await vi.advanceTimersByTimeAsync(ms);
  }

  it('leaves leases alone until their runners have had a turn, after the machine had been asleep', async () => {
    const id = await create();
    const job = await runner.lease(soon);
    const stop = sweeper.start({ deadlineMs: 1000, repairMs: 15_000 });
    await pass(10_000);

    test.clock.now += 3_600_000;
    await pass(5000);
    expect((await read(id)).status).toBe('processing');
    await runner.heartbeat({ instance: soon.instance, jobs: [{ id, attempt: job?.attempt ?? 0 }] });
    await pass(15_000);
    expect((await read(id)).status).toBe('processing');

    for (let turns = 0; turns < 5; turns += 1) await pass(15_000);
    expect((await read(id)).status).toBe('starting');
    await stop();
  });

  it('cancels what is overdue as soon as the machine is awake again', async () => {
    const id = await create({ 'cancel-after': '5m' });
    const stop = sweeper.start({ deadlineMs: 1000, repairMs: 15_000 });

    test.clock.now += 3_600_000;
    await pass(1000);

    expect((await read(id)).status).toBe('canceled');
    await stop();
  });
});

describe('recover, after everything had stopped', () => {
  it('takes up what waited and what ran, at once', async () => {
    const ran = await create();
    await runner.lease(soon);
    const waited = await create();
    await loseMessages();

    expect(await sweeper.recover()).toBe(2);

    const leased = [await runner.lease(soon), await runner.lease(soon)].map((job) => job?.id);
    expect(leased.sort()).toEqual([ran, waited].sort());
  });

  it('takes up what waited also where the clock was set back', async () => {
    const id = await create();
    await loseMessages();
    test.clock.now -= 3_600_000;

    await sweeper.recover();

    expect((await runner.lease(soon))?.id).toBe(id);
  });

  it('does not run again what a reader has seen', async () => {
    const id = await create();
    const job = await runner.lease(soon);
    const events = [{ type: 'output', index: 0, chunk: 'seen' } as const];
    await runner.report({ id, attempt: job?.attempt ?? 0, events });

    await sweeper.recover();

    expect(await read(id)).toMatchObject({ status: 'failed', code: 'instance_lost' });
  });

  it('takes up all of more than one page, each once', async () => {
    const ids = new Set<string>();
    for (let index = 0; index < 230; index += 1) ids.add(await create());
    for (let index = 0; index < 110; index += 1) await runner.lease(soon);
    await loseMessages();

    expect(await sweeper.recover()).toBe(230);

    const leased = new Set<string | undefined>();
    for (let index = 0; index < 230; index += 1) leased.add((await runner.lease(soon))?.id);
    expect(leased).toEqual(ids);
  });

  it('also after days, and directors look at the pool again', async () => {
    const id = await create();
    await runner.lease(soon);
    test.clock.now += 3 * 24 * 3_600_000;

    expect(await sweeper.recover()).toBe(1);

    expect((await runner.lease(soon))?.id).toBe(id);
    const director = test.api.dispatch.protocolFor({ role: 'director' });
    expect((await director.demand({ waitSeconds: 0 })).pools.map((demand) => demand.pool.id)).toEqual([pool]);
  });

  it('has nothing to do where everything had ended', async () => {
    const id = await create();
    await test.call('POST', `/v1/predictions/${id}/cancel`);

    expect(await sweeper.recover()).toBe(0);
  });
});
