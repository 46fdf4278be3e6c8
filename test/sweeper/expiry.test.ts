import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sharedPoolId } from '../../services/core/pool.ts';
import { inputLifeSeconds } from '../../services/data/data-life.ts';
import { Examples } from '../../services/data/examples.ts';
import { jobPartition } from '../../services/data/job-items.ts';
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
  test = await openApi(undefined, {}, { expireDataAfterSeconds: 3600 });
  await test.addModel({ name: 'echo' }, { id: version });
  const now = () => test.clock.now;
  sweeper = new Sweeper({ ...test, now, logger: pino({ level: 'silent' }), retentionSeconds: 3600 });
  runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
});
afterEach(async () => test.close());

const create = async (text: string) => createPrediction(test, text);
const run = async (text: string) => runPrediction(test, runner, text);
const read = async (id: string) => readPrediction(test, id);

/** What is still stored of a job. */
async function stored(id: string): Promise<readonly string[]> {
  return (await test.table.query({ pk: jobPartition(id) }, { limit: 10 })).items.map(({ sk }) => sk);
}

describe('small values of a prediction that just ran', () => {
  it('go an hour after the end without a write, and the record stays', async () => {
    const id = await run('a');
    test.clock.now += hour - 1;
    expect(await read(id)).toMatchObject({ data_removed: false, input: { text: 'a' }, output: 'a' });
    const write = vi.spyOn(test.table, 'write');
    test.clock.now += 1;

    await sweeper.removeOldData();

    const gone = { data_removed: true, input: {}, output: null, logs: '', status: 'succeeded' };
    expect(await read(id)).toMatchObject({ ...gone, cost: { micro_usd: expect.any(Number) } });
    const page = await (await test.call('GET', '/v1/predictions')).json();
    expect(page).toMatchObject({ results: [{ id, ...gone }] });
    expect(write).not.toHaveBeenCalled();
  });

  it('are taken out of the table in the end', async () => {
    const id = await run('a');
    // Expiries are in whole seconds.
    test.clock.now += hour + 1000;
    expect(await stored(id)).toEqual(['INPUT', 'JOB']);
    test.clock.now += inputLifeSeconds * 1000;

    expect(await stored(id)).toEqual(['JOB']);
  });

  it('are kept where it is made an example, and go when it is none any more', async () => {
    const id = await run('a');
    const examples = new Examples(test.table, test.flow.jobs);
    const record = await test.flow.jobs.record(id);
    if (record) expect(await examples.add(record, test.clock.now)).toBe(true);
    test.clock.now += 10 * hour + inputLifeSeconds * 1000;
    await sweeper.removeOldData();
    expect(await read(id)).toMatchObject({ data_removed: false, input: { text: 'a' }, output: 'a' });

    await examples.remove('local/echo', id);
    await sweeper.removeOldData();

    expect(await read(id)).toMatchObject({ data_removed: true, input: {}, output: null });
    expect(await stored(id)).toEqual(['JOB']);
  });

  it('make no example once they are gone', async () => {
    const id = await run('a');
    const record = await test.flow.jobs.record(id);
    test.clock.now += hour;

    const examples = new Examples(test.table, test.flow.jobs);
    expect(record && (await examples.add(record, test.clock.now))).toBe(false);
    const answer = await test.call('POST', '/v1/models/local/echo/examples', { prediction: id });

    expect(answer.status).toBe(409);
    expect((await read(id)).data_removed).toBe(true);
  });
});

it('large values are removed by the sweeper, with what is beside them', async () => {
  const id = await run(large);
  const keys = ['input', '1-ended-output'].map((name) => `local/jobs/${id}/${name}.json`);
  test.clock.now += hour;

  await sweeper.removeOldData();

  for (const key of keys) expect(await test.objects.head(key)).toBeUndefined();
  expect(await stored(id)).toEqual(['JOB']);
  expect((await read(id)).data_removed).toBe(true);
});

it('what was canceled is removed by the sweeper, as its model may say something yet', async () => {
  const id = await create('a');
  const job = await runner.lease({ instance: 'i', waitSeconds: 0 });
  await test.call('POST', `/v1/predictions/${id}/cancel`);
  const failure = { code: 'canceled', message: 'It was stopped.' } as const;
  const outcome = { status: 'failed' as const, failure, output: large, predictMs: 5, metrics: {} };
  await runner.report({
    id,
    attempt: job?.attempt ?? 0,
    events: [{ type: 'ended', outcome, logs: '', acceptedAfterMs: 0 }],
  });
  expect((await read(id)).output).toBe(large);
  test.clock.now += hour;

  await sweeper.removeOldData();

  expect(await test.objects.head(`local/jobs/${id}/1-canceled-output.json`)).toBeUndefined();
  expect(await stored(id)).toEqual(['JOB']);
});

it('a prediction may wait for longer than inputs are kept', async () => {
  const id = await create('a');
  for (let days = 0; days < 5; days += 1) {
    test.clock.now += 23 * hour;
    await sweeper.repair();
  }

  expect(await runner.lease({ instance: 'i', waitSeconds: 0 })).toMatchObject({ id, input: { text: 'a' } });
});
