import { describe, expect, test } from 'vitest';
import { readAzureFunctions } from '../../services/simulator/traces/azure-functions.ts';
import { readAzureLlm } from '../../services/simulator/traces/azure-llm.ts';
import { readHistory } from '../../services/simulator/traces/history.ts';

const file = 'trace.csv';

describe('Azure Functions 2019', () => {
  const minutes = [1, 2, 3];
  const head = `HashOwner,HashApp,HashFunction,Trigger,${minutes.join(',')}`;
  const durationsHead =
    'HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,percentile_Average_0,percentile_Average_1,percentile_Average_25,percentile_Average_50,percentile_Average_75,percentile_Average_99,percentile_Average_100';
  const durations = {
    file: 'durations.csv',
    text: `${durationsHead}\no,a,f1,100,9,100,100,100,100,100,100,100,100,100\no,a,f2,5,9,1,9,10,20,30,40,50,60,70\n`,
  };

  test('invocations of a minute lie in it, each function is a pool, run times are of its distribution', () => {
    const text = `${head}\no,a,f1,http,2,0,1\no,a,f2,timer,0,3,0\n`;
    const workload = readAzureFunctions({ file, text }, durations, { seed: 1 });

    expect(workload.pools).toEqual(['f1', 'f2']);
    expect(workload.horizonMs).toBe(180_000);
    expect([...workload.arrivalMs].map((at) => Math.floor(at / 60_000))).toEqual([0, 0, 1, 1, 1, 2]);
    expect([...workload.pool]).toEqual([0, 0, 1, 1, 1, 0]);
    const runs = [...workload.runMs];
    expect([runs[0], runs[1], runs[5]]).toEqual([100, 100, 100]);
    for (const run of runs.slice(2, 5)) expect(run >= 10 && run <= 70).toBe(true);
  });

  test('a function whose durations are not known runs as the others do', () => {
    const workload = readAzureFunctions({ file, text: `${head}\no,a,f9,http,1,0,0` }, durations, { seed: 1 });

    expect([...workload.runMs]).toEqual([100]);
  });

  test.each([
    [`${head}\no,a,f1,http,2,0`, 'trace.csv, line 2: has 6 columns; the first line has 7'],
    [`${head}\no,a,f1,http,2,x,0`, 'trace.csv, line 2: 2 is "x"; it takes a number'],
    [`${head}\n\no,a,f1,http,2,-1,0`, 'trace.csv, line 3: 2 is "-1"; it takes a number'],
    [`${head}\no,a,f1,http,0,0,0`, 'trace.csv has no invocations.'],
    ['', 'trace.csv is empty.'],
  ])('a wrong line is named: %j', (text, message) => {
    expect(() => readAzureFunctions({ file, text }, durations, { seed: 1 })).toThrow(message);
  });
});

describe('Azure LLM inference', () => {
  const head = 'TIMESTAMP,ContextTokens,GeneratedTokens';
  const speed = { contextPerSecond: 1000, generatedPerSecond: 10 };

  test('how long a request runs follows from its tokens', () => {
    const text = `${head}\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.4799600,500,20\r\n`;
    const workload = readAzureLlm({ file, text }, speed);

    expect([...workload.arrivalMs]).toEqual([0, 500]);
    expect([...workload.runMs]).toEqual([5808, 2500]);
  });

  test.each([
    [`${head}\nyesterday,1,2`, 'trace.csv, line 2: TIMESTAMP is "yesterday"; it takes a date and a time'],
    [`${head}\n2023-11-16 18:17:03.97,1,`, 'trace.csv, line 2: GeneratedTokens is ""; it takes a number'],
    [
      `${head}\n2023-11-16 18:17:03.97,1,2\n2023-11-16 18:17:02.00,1,2`,
      'trace.csv, line 3: TIMESTAMP "2023-11-16 18:17:02.00" is before that of the first line',
    ],
    [head, 'trace.csv has no requests.'],
  ])('a wrong line is named: %j', (text, message) => {
    expect(() => readAzureLlm({ file, text }, speed)).toThrow(message);
  });
});

describe('our own history', () => {
  const item = {
    id: 'x',
    model: 'acme/model',
    version: 'v1',
    status: 'succeeded',
    created_at: '2026-11-20T10:00:00.000Z',
    started_at: '2026-11-20T10:00:01.000Z',
    completed_at: '2026-11-20T10:00:04.000Z',
    metrics: { predict_time: 2.5 },
    cost: { sku: 'gpu-t4' },
  };
  const lines = (...items: readonly object[]) => items.map((one) => JSON.stringify(one)).join('\n');

  test('predictions in any order, as the list of them has them', () => {
    const earlier = { ...item, created_at: '2026-11-20T09:59:00.000Z', metrics: {}, deployment: 'acme/prod' };
    const { workload, leftOut } = readHistory({ file, text: lines(item, earlier) });

    expect(leftOut).toBe(0);
    expect([...workload.arrivalMs]).toEqual([0, 60_000]);
    expect([...workload.runMs]).toEqual([3000, 2500]);
    expect([...workload.pool].map((pool) => workload.pools[pool])).toEqual([
      'acme/prod',
      'acme/model:v1@gpu-t4',
    ]);
  });

  test('those that never ran are counted and left out', () => {
    const canceled = { ...item, started_at: null, metrics: {} };

    expect(readHistory({ file, text: lines(item, canceled) })).toMatchObject({ leftOut: 1 });
  });

  test.each([
    [`${JSON.stringify(item)}\n{"model":`, 'trace.csv, line 2: is no prediction as JSON'],
    [JSON.stringify({ ...item, created_at: 'today' }), 'trace.csv, line 1: created_at: '],
    [JSON.stringify({ ...item, started_at: null }), 'trace.csv has no prediction that has run.'],
  ])('a wrong line is named: %j', (text, message) => {
    expect(() => readHistory({ file, text })).toThrow(message);
  });
});
