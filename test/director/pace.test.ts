import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { paced, pause } from '../../services/director/pace.ts';

let runs: number[];
let takesMs: number;
let under = 0;

async function task(): Promise<void> {
  expect(under).toBe(0);
  under += 1;
  runs.push(Date.now());
  await pause(takesMs, new AbortController().signal);
  under -= 1;
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1000 });
  runs = [];
  takesMs = 0;
  under = 0;
});

afterEach(() => {
  vi.useRealTimers();
});

test('the first wish after a pause is granted at once', async () => {
  const pace = paced(task, 50);

  pace.request();

  expect(runs).toEqual([1000]);
  await vi.advanceTimersByTimeAsync(1);
  await pace.close();
});

test('wishes in quick succession become one each 50 ms', async () => {
  const pace = paced(task, 50);

  for (let ms = 0; ms < 100; ms++) {
    pace.request();
    await vi.advanceTimersByTimeAsync(1);
  }
  await vi.advanceTimersByTimeAsync(1000);

  expect(runs).toEqual([1000, 1050, 1100]);
  await pace.close();
});

test('an urgent wish does not wait for the spacing', async () => {
  const pace = paced(task, 50);
  pace.request();
  await vi.advanceTimersByTimeAsync(10);
  pace.request();

  pace.request({ atOnce: true });

  expect(runs).toEqual([1000, 1010]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(runs).toHaveLength(2);
  await pace.close();
});

test('what is wished for during a run is granted after it', async () => {
  takesMs = 80;
  const pace = paced(task, 50);
  pace.request();
  await vi.advanceTimersByTimeAsync(10);

  pace.request({ atOnce: true });
  pace.request();
  await vi.advanceTimersByTimeAsync(1000);

  expect(runs).toEqual([1000, 1080]);
  await pace.close();
});

test('close waits for what is under way and lets nothing begin', async () => {
  takesMs = 80;
  const pace = paced(task, 50);
  pace.request();
  pace.request();

  const closed = pace.close().then(() => under);
  await vi.advanceTimersByTimeAsync(1000);
  pace.request({ atOnce: true });

  expect(await closed).toBe(0);
  expect(runs).toEqual([1000]);
});
