import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HardwareCatalogue } from '../../services/core/hardware.ts';
import { billedMs, costMicroUsd } from '../../services/core/pricing.ts';

test.each([
  [3000, 2175],
  [8000, 5800],
])('%i ms of gpu-a40-large cost %i micro-dollars', (ms, cost) => {
  const price = new HardwareCatalogue().find('gpu-a40-large')?.microUsdPerSecond ?? Number.NaN;

  expect(costMicroUsd(ms, price)).toBe(cost);
});

test('a cost is rounded to whole micro-dollars, half of one up', () => {
  expect(costMicroUsd(1, 500)).toBe(1);
  expect(costMicroUsd(1, 499)).toBe(0);
});

test('a longer run never costs less', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat({ max: 10_000 }), fc.nat({ max: 10_000 }), (ms, more, price) => {
      expect(costMicroUsd(ms + more, price)).toBeGreaterThanOrEqual(costMicroUsd(ms, price));
    }),
  );
});

test('the lesser of report and observation is billed, in whole milliseconds, never below nothing', () => {
  expect(billedMs({ reportedMs: 10.6, observedMs: 20 })).toBe(11);
  expect(billedMs({ reportedMs: 30, observedMs: 20 })).toBe(20);
  expect(billedMs({ reportedMs: null, observedMs: 20 })).toBe(20);
  expect(billedMs({ reportedMs: -5, observedMs: 20 })).toBe(0);
  expect(billedMs({ reportedMs: 5, observedMs: -20 })).toBe(0);
});
