import { randomUUID } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Limits } from '../../services/ports/limits/port.ts';

/** What every adapter of the Limits port does. */
export function describeLimits(name: string, open: () => Promise<Limits>): void {
  const opened = async () => {
    const limits = await open();
    onTestFinished(() => limits.close());
    return limits;
  };

  describe(`limits: ${name}`, () => {
    it('lets through as many requests as a bucket holds, and says when there is one more', async () => {
      const limits = await opened();
      const bucket = randomUUID();
      const verdicts = [];
      for (let asked = 0; asked < 4; asked += 1)
        verdicts.push(await limits.takeRequest(bucket, { perMinute: 3 }));

      expect(verdicts.map(({ allowed }) => allowed)).toEqual([true, true, true, false]);
      expect(verdicts.map(({ remaining }) => remaining)).toEqual([2, 1, 0, 0]);
      expect(verdicts[3]?.retrySeconds).toBeGreaterThan(15);
      expect(verdicts[3]?.retrySeconds).toBeLessThanOrEqual(20);
      expect((await limits.takeRequest(randomUUID(), { perMinute: 3 })).allowed).toBe(true);
    });

    it('of many requests at once lets through no more than the bucket holds', async () => {
      const limits = await opened();
      const bucket = randomUUID();
      const asked = Array.from({ length: 50 }, async () => limits.takeRequest(bucket, { perMinute: 10 }));
      const allowed = (await Promise.all(asked)).filter((verdict) => verdict.allowed);

      expect(allowed).toHaveLength(10);
    });

    it('fills a bucket again, evenly', async () => {
      const limits = await opened();
      const bucket = randomUUID();
      // One in 20 ms.
      const limit = { perMinute: 3000 };
      for (let asked = 0; asked < 3000; asked += 500)
        await Promise.all(Array.from({ length: 500 }, async () => limits.takeRequest(bucket, limit)));

      await expect
        .poll(async () => (await limits.takeRequest(bucket, limit)).allowed, { timeout: 5000, interval: 5 })
        .toBe(true);
    });

    it('has as many places as a group has, and one again where one is given back', async () => {
      const limits = await opened();
      const group = randomUUID();
      const enter = async (place: string) => limits.enter(group, place, 2);

      expect([await enter('a'), await enter('b'), await enter('c')]).toEqual([true, true, false]);
      expect(await enter('a')).toBe(true);
      await limits.leave(group, 'a');
      await limits.leave(group, 'a');
      expect([await enter('c'), await enter('d')]).toEqual([true, false]);
      expect(await limits.enter(randomUUID(), 'd', 2)).toBe(true);
    });

    it('of many who enter at once lets in no more than there are places', async () => {
      const limits = await opened();
      const group = randomUUID();
      const entered = Array.from({ length: 50 }, async (_, place) => limits.enter(group, String(place), 7));

      expect((await Promise.all(entered)).filter(Boolean)).toHaveLength(7);
    });

    it('names the oldest places, and not those that are younger', async () => {
      const limits = await opened();
      const group = randomUUID();
      for (const place of ['a', 'b', 'c']) await limits.enter(group, place, 10);

      expect(await limits.oldest(group, 60_000, 10)).toEqual([]);
      expect((await limits.oldest(group, 0, 10)).toSorted()).toEqual(['a', 'b', 'c']);
      expect(await limits.oldest(group, 0, 2)).toHaveLength(2);
    });
  });
}
