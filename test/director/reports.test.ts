import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { PoolState } from '../../services/core/pool.ts';
import { PoolReports } from '../../services/director/reports.ts';
import { anInstance } from '../core/instances.ts';

const instance = anInstance();
let failures: string[];
let sent: { at: number; state: PoolState }[];
let error: Error | undefined;
let reports: PoolReports;

function state(over: Partial<PoolState> = {}): PoolState {
  return {
    pool: 'p',
    at: Date.now(),
    desired: 1,
    reason: 'nothing waits',
    instances: [instance],
    breaker: null,
    setupSeconds: [],
    ...over,
  };
}

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  sent = [];
  failures = [];
  error = undefined;
  reports = new PoolReports(
    async (one) => {
      if (error) throw error;
      sent.push({ at: Date.now(), state: one });
    },
    (cause, pool) => failures.push(`${pool}: ${cause}`),
  );
});

afterEach(async () => {
  await reports.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

async function every(ms: number, times: number, make: (turn: number) => PoolState): Promise<void> {
  for (let turn = 0; turn < times; turn++) {
    reports.update(make(turn), 'hold');
    await vi.advanceTimersByTimeAsync(ms);
  }
}

test('what says nothing new is reported once', async () => {
  await every(1000, 10, () => state());

  expect(sent).toHaveLength(1);
});

test('a change of number, phase, breaker or action is reported within 100 ms, the last of them', async () => {
  await every(10, 30, (turn) => state({ desired: turn }));
  await vi.advanceTimersByTimeAsync(100);

  expect(sent.map(({ at }) => at)).toEqual([0, 100, 200, 300]);
  expect(sent.at(-1)?.state.desired).toBe(29);
});

test('what an instance waits for is reported at once', async () => {
  const waits = (detail: string) => state({ instances: [{ ...instance, phase: 'node', detail }] });
  reports.update(waits('There is no machine yet.'), 'hold');
  await vi.advanceTimersByTimeAsync(100);
  reports.update(waits('One is being started.'), 'hold');

  expect(sent.map(({ state: { instances } }) => instances[0]?.detail)).toEqual([
    'There is no machine yet.',
    'One is being started.',
  ]);
});

test('who works and who idles is reported every 2 s at most', async () => {
  await every(10, 500, (turn) => state({ instances: [{ ...instance, running: turn % 2, idleSince: turn }] }));

  expect(sent.map(({ at }) => at)).toEqual([0, 2000, 4000]);
});

test('a report that failed is made again, with what is true by then', async () => {
  error = new Error('the api is away');
  reports.update(state({ desired: 1 }), 'start');
  await vi.advanceTimersByTimeAsync(500);
  reports.update(state({ desired: 2 }), 'start');
  error = undefined;
  await vi.advanceTimersByTimeAsync(2000);

  expect(failures).toEqual(['p: Error: the api is away']);
  expect(sent.map(({ state: { desired } }) => desired)).toEqual([2]);
});

test('a report that failed is made again though nothing has changed since', async () => {
  error = new Error('the api is away');
  reports.update(state(), 'hold');
  await vi.advanceTimersByTimeAsync(500);
  error = undefined;
  await vi.advanceTimersByTimeAsync(2000);

  expect(sent).toHaveLength(1);
});

test('logs are cut so that a report can be stored', async () => {
  const setupLogs = `${'x'.repeat(500_000)}the end`;
  const instances = Array.from({ length: 50 }, () => anInstance({ phase: 'failed', setupLogs }));

  reports.update(state({ instances, breaker: { until: 1, message: 'm', setupLogs } }), 'blocked');

  expect(JSON.stringify(sent[0]?.state).length).toBeLessThan(200_000);
  expect(sent[0]?.state.breaker?.setupLogs).toMatch(/the end$/);
  expect(sent[0]?.state.instances[0]?.setupLogs).toMatch(/the end$/);
});

test('pools are reported apart from each other', async () => {
  reports.update(state({ pool: 'a' }), 'hold');
  reports.update(state({ pool: 'b' }), 'hold');

  expect(sent.map(({ state: { pool } }) => pool)).toEqual(['a', 'b']);
});

test('what a setup prints is reported while it runs, every 2 s at most', async () => {
  await every(10, 300, (turn) =>
    state({ instances: [{ ...instance, phase: 'setup', setupLogs: 'x'.repeat(turn) }] }),
  );

  expect(sent.map(({ at }) => at)).toEqual([0, 2000]);
  expect(sent[1]?.state.instances[0]?.setupLogs.length).toBeGreaterThan(100);
});
