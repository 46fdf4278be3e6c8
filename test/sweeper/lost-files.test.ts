import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { outputFileKey } from '../../services/core/output-files.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import type { FleetProtocol } from '../../services/ports/fleet-protocol/port.ts';
import { Sweeper } from '../../services/sweeper/app.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { createPrediction } from './predictions.ts';

const version = 'a'.repeat(64);
const pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });
const hour = 3_600_000;
const minute = 60_000;

let test: TestApi;
let sweeper: Sweeper;
let runner: FleetProtocol;
beforeEach(async () => {
  test = await openApi();
  await test.addModel({ name: 'echo' }, { id: version });
  const now = () => test.clock.now;
  sweeper = new Sweeper({ ...test, now, logger: pino({ level: 'silent' }), retentionSeconds: 60 });
  runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
});
afterEach(async () => test.close());

interface Attempt {
  readonly id: string;
  readonly attempt: number;
}

const create = async () => createPrediction(test, 'a');

async function lease(): Promise<Attempt> {
  const assignment = await runner.lease({ instance: 'i', waitSeconds: 0 });
  if (!assignment) throw new Error('No job waits');
  return { id: assignment.id, attempt: assignment.attempt };
}

/** Stores a file as a runner does. */
async function store(attempt: Attempt): Promise<string> {
  const { name, url } = await runner.placeFile({ ...attempt, contentType: 'text/plain' });
  const put = { method: 'PUT', headers: { 'content-type': 'text/plain' }, body: 'bytes' };
  expect((await test.api.app.request(url, put)).status).toBe(200);
  return name;
}

async function end(attempt: Attempt, name: string): Promise<void> {
  const files = [{ path: [], name }];
  const outcome = { status: 'succeeded' as const, output: null, predictMs: 5, metrics: {}, files };
  await runner.report({
    ...attempt,
    events: [{ type: 'ended', outcome, logs: '', acceptedAfterMs: 0 }],
  });
}

const isStored = async (id: string, name: string) =>
  (await test.objects.head(outputFileKey({ account: 'local', id }, name))) !== undefined;

it('the file of an attempt that was lost is removed, and the one that the result names stays', async () => {
  const id = await create();
  const first = await lease();
  const lost = await store(first);
  await runner.giveBack(first);
  const second = await lease();
  const kept = await store(second);
  await end(second, kept);

  test.clock.now += hour - 1;
  await sweeper.removeLostFiles();
  expect(await isStored(id, lost)).toBe(true);
  test.clock.now += 1;
  await sweeper.removeLostFiles();

  expect([await isStored(id, lost), await isStored(id, kept)]).toEqual([false, true]);
  expect(await hasOpenPlaces()).toBe(false);
});

it('what the result names goes with the result, after its place was settled', async () => {
  const id = await create();
  const attempt = await lease();
  const name = await store(attempt);
  await end(attempt, name);
  test.clock.now += hour;
  await sweeper.removeLostFiles();
  expect(await isStored(id, name)).toBe(true);

  await sweeper.removeOldData();

  expect(await isStored(id, name)).toBe(false);
});

it('a file that no result names goes although the data of its job went before', async () => {
  const id = await create();
  const attempt = await lease();
  const [lost, kept] = [await store(attempt), await store(attempt)];
  await end(attempt, kept);
  test.clock.now += 2 * minute;
  await sweeper.removeOldData();
  expect([await isStored(id, lost), await isStored(id, kept)]).toEqual([true, false]);

  test.clock.now += hour;
  await sweeper.removeLostFiles();

  expect(await isStored(id, lost)).toBe(false);
});

it('files of a prediction that still runs stay, however long it runs', async () => {
  const id = await create();
  const attempt = await lease();
  const name = await store(attempt);
  for (let hours = 0; hours < 3; hours += 1) {
    test.clock.now += hour;
    await sweeper.removeLostFiles();
  }
  expect(await isStored(id, name)).toBe(true);

  await end(attempt, name);
  test.clock.now += hour;
  await sweeper.removeLostFiles();

  expect(await isStored(id, name)).toBe(true);
  expect(await hasOpenPlaces()).toBe(false);
});

it('the last words of a canceled prediction may still name a file that was stored before', async () => {
  const id = await create();
  const attempt = await lease();
  const [named, lost] = [await store(attempt), await store(attempt)];
  test.clock.now += hour;
  await test.call('POST', `/v1/predictions/${id}/cancel`);
  await sweeper.removeLostFiles();
  await end(attempt, named);

  test.clock.now += 15 * minute;
  await sweeper.removeLostFiles();

  expect([await isStored(id, named), await isStored(id, lost)]).toEqual([true, false]);
});

it('a removal that was cut short is done by the next look', async () => {
  const id = await create();
  const attempt = await lease();
  const names = [await store(attempt), await store(attempt)];
  await test.call('POST', `/v1/predictions/${id}/cancel`);
  test.clock.now += hour;
  vi.spyOn(test.table, 'write').mockRejectedValueOnce(new Error('killed'));
  await expect(sweeper.removeLostFiles()).rejects.toThrow('killed');
  expect(await hasOpenPlaces()).toBe(true);

  await sweeper.removeLostFiles();

  for (const name of names) expect(await isStored(id, name)).toBe(false);
  expect(await hasOpenPlaces()).toBe(false);
});

it('a place is on record before its URL is given away', async () => {
  await create();
  const attempt = await lease();
  vi.spyOn(test.objects, 'signPut').mockRejectedValueOnce(new Error('killed'));

  await expect(runner.placeFile({ ...attempt, contentType: 'text/plain' })).rejects.toThrow('killed');

  expect(await hasOpenPlaces()).toBe(true);
});

/** Whether any place waits to be settled, now or later. */
async function hasOpenPlaces(): Promise<boolean> {
  return (await test.table.count({ index: 'due', pk: 'JOBFILES' }, 1)) > 0;
}
