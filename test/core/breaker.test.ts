import { expect, test } from 'vitest';
import {
  afterSetups,
  type Breaker,
  closedBreaker,
  cooldownMs,
  failuresToOpen,
  longestCooldownMs,
  mayStart,
} from '../../services/core/breaker.ts';

const failure = { code: 'setup_failed' as const, message: 'No module named torch.', setupLogs: 'Traceback' };

function fail(breaker: Breaker, times: number, now: number): Breaker {
  return afterSetups(breaker, { succeeded: 0, failed: Array.from({ length: times }, () => failure) }, now);
}

test('the cool-down doubles from 30 s and ends at 10 min', () => {
  expect([1, 2, 3, 4, 5, 6, 60].map(cooldownMs)).toEqual([
    30_000,
    60_000,
    120_000,
    240_000,
    480_000,
    longestCooldownMs,
    longestCooldownMs,
  ]);
});

test('failures of the batch that opened it do not lengthen the cool-down', () => {
  const opened = fail(closedBreaker, failuresToOpen, 0);
  const later = fail(opened, 2, 100);

  expect(later).toMatchObject({ until: opened.until, openings: 1, failures: failuresToOpen + 2 });
});

test('a success closes it, even beside failures', () => {
  const opened = fail(closedBreaker, failuresToOpen, 0);

  expect(afterSetups(opened, { succeeded: 1, failed: [failure] }, 100)).toEqual(closedBreaker);
});

test('closed it lets all start, open none, half-open one', () => {
  const opened = fail(closedBreaker, failuresToOpen, 0);

  expect(mayStart(closedBreaker, 7, 0)).toBe(Number.POSITIVE_INFINITY);
  expect(mayStart(opened, 0, 29_999)).toBe(0);
  expect(mayStart(opened, 0, 30_000)).toBe(1);
  expect(mayStart(opened, 1, 30_000)).toBe(0);
});
