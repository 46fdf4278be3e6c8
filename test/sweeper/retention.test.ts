import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { outputFileKey } from '../../services/core/output-files.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import { Examples } from '../../services/data/examples.ts';
import type { FleetProtocol } from '../../services/ports/fleet-protocol/port.ts';
import { Sweeper } from '../../services/sweeper/app.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { createPrediction, readPrediction, runPrediction } from './predictions.ts';

const version = 'a'.repeat(64);
const pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });
const hour = 3_600_000;
/** Too large for the Table. */
const large = 'x'.repeat(20_000);

let test: TestApi;
let sweeper: Sweeper;
let runner: FleetProtocol;
beforeEach(async () => {
  test = await openApi();
  await test.addModel({ name: 'echo' }, { id: version });
  const now = () => test.clock.now;
  sweeper = new Sweeper({ ...test, now, logger: pino({ level: 'silent' }), retentionSeconds: 3600 });
  runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
});
afterEach(async () => test.close());

const create = async (text: string) => createPrediction(test, text);
const run = async (text: string) => runPrediction(test, runner, text);
const read = async (id: string) => readPrediction(test, id);

it('input, output and logs go an hour after the end, and the record stays', async () => {
  const old = await run('a');
  test.clock.now += 1000;
  const younger = await run('b');
  const waiting = await create('c');

  test.clock.now += hour - 1001;
  await sweeper.removeOldData();
  expect((await read(old)).data_removed).toBe(false);
  test.clock.now += 1;
  await sweeper.removeOldData();

  expect(await read(old)).toMatchObject({
    data_removed: true,
    input: {},
    output: null,
    logs: '',
    status: 'succeeded',
    metrics: { predict_time: expect.any(Number) },
    cost: { micro_usd: expect.any(Number) },
  });
  expect(await read(younger)).toMatchObject({ data_removed: false, output: 'b', logs: 'said it' });
  expect(await read(waiting)).toMatchObject({ data_removed: false, input: { text: 'c' } });
});

it('objects are removed with it, and by the next look where one was cut short', async () => {
  const id = await run(large);
  const keys = ['input', '1-ended-output'].map((name) => `local/jobs/${id}/${name}.json`);
  for (const key of keys) expect(await test.objects.head(key)).toBeDefined();
  test.clock.now += hour;
  vi.spyOn(test.objects, 'remove').mockRejectedValueOnce(new Error('no disk'));

  await expect(sweeper.removeOldData()).rejects.toThrow('Objects of 1 jobs could not be removed');
  expect(await read(id)).toMatchObject({ data_removed: true, input: {}, output: null });
  const later = performance.now() + 600_001;
  vi.spyOn(performance, 'now').mockReturnValue(later);
  await sweeper.removeOldData();
  vi.restoreAllMocks();

  for (const key of keys) expect(await test.objects.head(key)).toBeUndefined();
  expect((await read(id)).data_removed).toBe(true);
});

it('objects that cannot be removed keep nothing else from going, and are tried again later', async () => {
  const stuck = await run(large);
  const other = await run(`${large}y`);
  test.clock.now += hour;
  const remove = vi.spyOn(test.objects, 'remove').mockImplementationOnce(async () => {
    throw new Error('EACCES');
  });

  await expect(sweeper.removeOldData()).rejects.toThrow('Objects of 1 jobs could not be removed');
  expect((await read(other)).data_removed).toBe(true);
  const monotonic = performance.now();
  await sweeper.removeOldData();
  expect((await test.flow.jobs.retention.withData(test.clock.now, { limit: 10 })).items).toEqual([]);
  vi.spyOn(performance, 'now').mockReturnValue(monotonic + 600_001);
  await sweeper.removeOldData();

  expect(remove.mock.calls.length).toBeGreaterThan(2);
  expect((await test.flow.jobs.retention.withData(test.clock.now, { limit: 10 })).items).toEqual([]);
  expect((await read(stuck)).data_removed).toBe(true);
  vi.restoreAllMocks();
});

it('the files that a model put out go with the rest', async () => {
  const id = await create('picture');
  const attempt = (await runner.lease({ instance: 'i', waitSeconds: 0 }))?.attempt ?? 0;
  const { name, url } = await runner.placeFile({ id, attempt, contentType: 'image/png' });
  await test.api.app.request(url, {
    method: 'PUT',
    headers: { 'content-type': 'image/png' },
    body: 'picture',
  });
  const files = [{ path: [], name }];
  const outcome = { status: 'succeeded' as const, output: null, predictMs: 5, metrics: {}, files };
  await runner.report({
    id,
    attempt,
    events: [{ type: 'ended', outcome, logs: '', acceptedAfterMs: 0 }],
  });
  const shown = String((await read(id)).output);
  expect((await test.api.app.request(shown)).status).toBe(200);

  test.clock.now += hour;
  await sweeper.removeOldData();

  expect(await test.objects.head(outputFileKey({ account: 'local', id }, name))).toBeUndefined();
  expect(await read(id)).toMatchObject({ data_removed: true, output: null });
});

it('more than one write can hold go in one look, and what is gone is not taken up again', async () => {
  for (let at = 0; at < 60; at += 1) await run('x');
  test.clock.now += hour;

  await sweeper.removeOldData();

  expect((await test.flow.jobs.retention.withData(test.clock.now, { limit: 100 })).items).toEqual([]);
});

it('examples are kept as they were for as long as they are examples', async () => {
  const [kept, other] = [await run(large), await run('y')];
  const examples = new Examples(test.table, test.flow.jobs);
  const record = await test.flow.jobs.record(kept);
  if (record) expect(await examples.add(record, test.clock.now)).toBe(true);
  test.clock.now += 10 * hour;

  await sweeper.removeOldData();
  expect(await read(kept)).toMatchObject({ data_removed: false, output: large });
  expect((await read(other)).data_removed).toBe(true);
  expect(record && (await test.flow.jobs.retention.removeData([record.job]))).toBe(0);
  await examples.remove('local/echo', kept);
  await sweeper.removeOldData();

  expect((await read(kept)).data_removed).toBe(true);
});

describe('a prediction with large values, of which an example is made while its data is removed', () => {
  let id: string;
  let examples: Examples;
  beforeEach(async () => {
    id = await run(large);
    examples = new Examples(test.table, test.flow.jobs);
    test.clock.now += hour;
  });

  const makeExample = async () => {
    const record = await test.flow.jobs.record(id);
    return record && (await examples.add(record, test.clock.now));
  };
  const shown = async () => (await examples.list('local/echo', { limit: 10 })).items;

  it('keeps all of it where the example was first', async () => {
    const { write } = test.table;
    test.table.write = async (ops, durability) => {
      test.table.write = write;
      expect(await makeExample()).toBe(true);
      await write(ops, durability);
    };

    await sweeper.removeOldData();

    expect(await read(id)).toMatchObject({ data_removed: false, input: { text: large }, output: large });
    expect(await shown()).toMatchObject([{ job: { id } }]);
  });

  it('is refused as an example from then on, also while its objects go', async () => {
    const record = await test.flow.jobs.record(id);
    const { remove } = test.objects;
    const answers: unknown[] = [];
    test.objects.remove = async (key) => {
      if (record) answers.push(await examples.add(record, test.clock.now));
      const path = '/v1/models/local/echo/examples';
      answers.push((await test.call('POST', path, { prediction: id })).status);
      await remove(key);
    };

    await sweeper.removeOldData();

    expect(answers).toEqual([false, 409, false, 409]);
    expect(await shown()).toEqual([]);
    expect(await read(id)).toMatchObject({ data_removed: true, input: {}, output: null });
    expect((await test.flow.jobs.retention.withData(test.clock.now + 1, { limit: 10 })).items).toEqual([]);
  });
});

it('data is kept where no time is set', async () => {
  const id = await run('a');
  test.clock.now += 1000 * hour;

  const keeping = new Sweeper({
    ...test,
    now: () => test.clock.now,
    logger: pino({ level: 'silent' }),
    retentionSeconds: 0,
  });
  await keeping.removeOldData();

  expect((await read(id)).output).toBe('a');
});
