import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mean, percentile } from '../../services/core/percentile.ts';

test('the median of an even number of values lies between the middle two', () => {
  expect(percentile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(percentile([5], 0.9)).toBe(5);
});

test('nothing is known of no values', () => {
  expect(percentile([], 0.5)).toBeNull();
  expect(mean([])).toBeNull();
});

test('a higher percentile is never lower, and all lie between the extremes', () => {
  const values = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(values, share, share, (all, one, other) => {
      const low = percentile(all, Math.min(one, other)) ?? Number.NaN;
      const high = percentile(all, Math.max(one, other)) ?? Number.NaN;
      expect(high).toBeGreaterThanOrEqual(low - 1e-9);
      expect(low).toBeGreaterThanOrEqual(Math.min(...all));
      expect(high).toBeLessThanOrEqual(Math.max(...all));
    }),
  );
});

test('the mean is the sum by the number', () => {
  expect(mean([1, 2, 6])).toBe(3);
});
