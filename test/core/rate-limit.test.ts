import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Bucket, takeRequest } from '../../services/core/rate-limit.ts';

const rates = fc.integer({ min: 1, max: 10_000 });

/** Sends requests after these pauses and tells when each was let through. */
function send(perMinute: number, pauses: readonly number[]) {
  let now = 1_000_000;
  let bucket: Bucket | undefined;
  return pauses.map((pause) => {
    now += pause;
    const verdict = takeRequest({ perMinute }, bucket, now);
    bucket = verdict.bucket;
    return { now, ...verdict };
  });
}

it('no more than a full bucket and what has flowed in since is ever let through', () => {
  fc.assert(
    fc.property(
      rates,
      fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 300 }),
      (perMinute, pauses) => {
        const sent = send(perMinute, pauses);
        const allowed = sent.filter((one) => one.allowed);
        const span = (sent.at(-1)?.now ?? 0) - (sent[0]?.now ?? 0);
        expect(allowed.length).toBeLessThanOrEqual(perMinute + (span * perMinute) / 60_000 + 1e-6);
      },
    ),
  );
});

it('whoever waits as long as told is let through, and after the reset the bucket is full', () => {
  fc.assert(
    fc.property(rates, fc.integer({ min: 1, max: 30_000 }), (perMinute, count) => {
      const last = send(perMinute, Array<number>(Math.min(count, perMinute + 5)).fill(0)).at(-1);
      if (!last) return;
      const later = takeRequest({ perMinute }, last.bucket, last.now + last.retrySeconds * 1000);
      expect(later.allowed).toBe(true);
      const full = takeRequest({ perMinute }, last.bucket, last.now + last.resetSeconds * 1000);
      expect(full.remaining).toBe(perMinute - 1);
    }),
  );
});

it('a clock that was set back lets nothing extra through', () => {
  const [, empty] = send(1, [0, 0]);
  expect(empty?.allowed).toBe(false);

  expect(takeRequest({ perMinute: 1 }, empty?.bucket, 0).allowed).toBe(false);
});
