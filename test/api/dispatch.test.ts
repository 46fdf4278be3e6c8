import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Dispatch } from '../../services/api/dispatch.ts';
import { ScaledPools } from '../../services/api/scaled-pools.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import { InstanceRecords } from '../../services/data/instance-records.ts';
import { InstanceReports } from '../../services/data/instance-reports.ts';
import { ModelScaling } from '../../services/data/model-scaling.ts';
import { jobTopic } from '../../services/data/progress.ts';
import type { Assignment, RunnerEvent } from '../../services/ports/fleet-protocol/port.ts';
import { openApi, type TestApi } from '../support/api.ts';

let test: TestApi;
let pool: string;
beforeEach(async () => {
  test = await openApi();
  const { id: version } = await test.addModel({ name: 'echo' }, { streams: true });
  pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });
});
afterEach(async () => test.close());

/** What another process of the control plane is: it shares the stores, and remembers nothing of this one. */
function anotherDispatch(demandSpacingMs?: number): Dispatch {
  const { flow, pools, table, queue, channel, objects, clock } = test;
  const reports = new InstanceReports(table);
  const records = new InstanceRecords(table);
  const scaled = new ScaledPools({ models: test.models, scaling: new ModelScaling(table) });
  const now = () => clock.now;
  return new Dispatch({
    flow,
    pools,
    reports,
    records,
    scaled,
    queue,
    channel,
    objects,
    now,
    demandSpacingMs,
  });
}

const create = async () => test.call('POST', '/v1/models/local/echo/predictions', { input: { text: 'x' } });

it('events of one job, told to two processes in turn, have ids of their own, in order', async () => {
  await create();
  const one = test.api.dispatch.protocolFor({ role: 'runner', pool });
  const two = anotherDispatch().protocolFor({ role: 'runner', pool });
  const { id, attempt } = (await one.lease({ instance: 'i', waitSeconds: 0 })) as Assignment;
  const events: RunnerEvent[] = [
    { type: 'logs', text: 'a', place: { chunk: 0, log: 1 } },
    { type: 'logs', text: 'b', place: { chunk: 0, log: 2 } },
    { type: 'output', index: 0, chunk: 'x' },
    { type: 'logs', text: 'c', place: { chunk: 1, log: 1 } },
    { type: 'logs', text: 'd', place: { chunk: 1, log: 2 } },
    { type: 'output', index: 1, chunk: 'y' },
  ];
  for (const [at, event] of events.entries())
    await (at % 2 === 0 ? one : two).report({ id, attempt, events: [event] });
  // One whose answer was lost is sent again, to the other process.
  await one.report({ id, attempt, events: events.slice(-2) });

  const { replay } = await test.channel.subscribe(jobTopic(id), () => undefined);
  const ids = [...new Set(replay.events.map((event) => event.id))];
  expect(ids).toEqual(['1.0+1', '1.0+2', '1.1', '1.1+1', '1.1+2', '1.2']);
  const shown = await (await test.call('GET', `/v1/predictions/${id}`)).json();
  expect(shown).toMatchObject({ output: ['x', 'y'], logs: 'abcd' });
});

it('a director is told of demand at once after a pause, and not again before its time', async () => {
  const dispatch = anotherDispatch(300);
  await dispatch.start();
  const director = dispatch.protocolFor({ role: 'director' });
  await create();
  const beganAt = performance.now();
  const first = await director.demand({ waitSeconds: 5 });
  const firstMs = performance.now() - beganAt;
  await create();
  const second = await director.demand({ waitSeconds: 5 });

  expect(first.pools).toMatchObject([{ queued: 1 }]);
  expect(firstMs).toBeLessThan(250);
  expect(second.pools).toMatchObject([{ queued: 2 }]);
  expect(performance.now() - beganAt).toBeGreaterThan(290);
});

it('an order to drain and a report reach whom they are for through other processes', async () => {
  const request = { instance: 'i', waitSeconds: 20 };
  const other = anotherDispatch();
  await other.start();
  const director = other.protocolFor({ role: 'director' });
  const [here, there] = [test.api.dispatch, other].map((one) =>
    one.protocolFor({ role: 'runner', pool, pod: 'i' }),
  );
  await director.demand({ waitSeconds: 0 });

  const hearing = director.demand({ waitSeconds: 20, reportsAfter: 0 });
  await here?.reportInstance({
    instance: 'i',
    phase: 'ready',
    readyAt: 1,
    running: 0,
    idleSince: 1,
    failure: null,
    broken: null,
    setupLogs: '',
  });
  expect((await hearing).reports).toMatchObject([{ pool, instance: 'i', phase: 'ready' }]);

  await director.drain({ pool, instance: 'i', graceSeconds: 30 });
  expect(await here?.watch(request)).toEqual({ stop: [], drain: { graceSeconds: 30 } });
  // A process that has not told of it yet does so, too: it changes nothing for who drains already.
  expect(await there?.watch(request)).toEqual({ stop: [], drain: { graceSeconds: 30 } });
  expect(await there?.watch({ ...request, waitSeconds: 0 })).toEqual({ stop: [] });
});

it('a job is leased also where its message cannot be removed', async () => {
  await create();
  const { receive } = test.queue;
  vi.spyOn(test.queue, 'receive').mockImplementation(async (...args) => {
    const message = await receive(...args);
    return message && { ...message, remove: async () => Promise.reject(new Error('503')) };
  });
  const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });

  const leased = await runner.lease({ instance: 'i', waitSeconds: 0 });

  expect(leased).toMatchObject({ attempt: 1 });
  expect(await test.flow.jobs.get(leased?.id ?? '')).toMatchObject({ status: 'processing', attempt: 1 });
});
