import { afterEach, beforeEach, expect, it } from 'vitest';
import { isoTime } from '../../services/api/views.ts';
import { type Instance, sharedPoolId } from '../../services/core/pool.ts';
import type { FleetProtocol } from '../../services/ports/fleet-protocol/port.ts';
import { openApi, type TestApi } from '../support/api.ts';

let test: TestApi;
let director: FleetProtocol;
let pool: string;
beforeEach(async () => {
  test = await openApi();
  const { id: version } = await test.addModel({ name: 'echo' });
  pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });
  await test.call('POST', '/v1/models/local/echo/predictions', { input: { text: 'x' } });
  director = test.api.dispatch.protocolFor({ role: 'director' });
});
afterEach(async () => test.close());

/** A look of the director at the pool, so many seconds after the last. */
async function report(seconds: number, ...instances: readonly (Partial<Instance> & { id: string })[]) {
  test.clock.now += seconds * 1000;
  await director.reportPool({
    pool,
    at: test.clock.now,
    desired: 1,
    reason: '',
    breaker: null,
    setupSeconds: [],
    instances: instances.map((different) => ({
      pool,
      phase: 'setup',
      startedAt: test.clock.now,
      readyAt: null,
      running: 0,
      idleSince: null,
      failure: null,
      setupLogs: '',
      ...different,
    })),
  });
}

async function list(query = '', headers: Record<string, string> = {}) {
  const response = await test.call('GET', `/v1/instances${query}`, undefined, headers);
  expect(response.status).toBe(200);
  return ((await response.json()) as { results: Record<string, unknown>[] }).results;
}

it('an instance is on record from its start to its end, with what its start was made of', async () => {
  const startedAt = test.clock.now;
  await report(0, { id: 'i-1', phase: 'node', startedAt });
  await report(50, { id: 'i-1', phase: 'image', startedAt });
  await report(20, { id: 'i-1', phase: 'ready', startedAt, readyAt: startedAt + 69_000 });
  expect(await list()).toMatchObject([{ id: 'i-1', ended_at: null }]);
  await report(40);

  expect(await list()).toEqual([
    {
      id: 'i-1',
      pool,
      model: 'local/echo',
      version: expect.any(String),
      hardware: 'cpu',
      started_at: isoTime(startedAt),
      ready_at: isoTime(startedAt + 69_000),
      ended_at: isoTime(startedAt + 110_000),
      phases: [
        { phase: 'node', at: isoTime(startedAt) },
        { phase: 'image', at: isoTime(startedAt + 50_000) },
        { phase: 'ready', at: isoTime(startedAt + 69_000) },
      ],
      failure: null,
    },
  ]);
});

it('a report that is told twice changes nothing', async () => {
  await report(0, { id: 'i-1' });
  await report(1);
  const once = await list();
  await report(0);
  await report(500);

  expect(await list()).toEqual(once);
});

it('the latest come first, of one model where one is named', async () => {
  await report(0, { id: 'i-1' });
  await report(1, { id: 'i-1', startedAt: test.clock.now }, { id: 'i-2' });

  expect((await list()).map(({ id }) => id)).toEqual(['i-2', 'i-1']);
  expect(await list('?model=local/echo')).toHaveLength(2);
  expect(await list('?model=local/other')).toEqual([]);
});

it("nobody sees another account's", async () => {
  await report(0, { id: 'i-1' });
  const stranger = await test.addAccount('mallory');

  expect(await list('', { authorization: `Bearer ${stranger}` })).toEqual([]);
});
