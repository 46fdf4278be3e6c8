import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectValkeyLimits } from '../../services/ports/limits/valkey.ts';
import { startValkey, type ValkeyServer } from '../support/valkey.ts';
import { describeLimits } from './limits.ts';

let server: ValkeyServer;
beforeAll(async () => {
  server = await startValkey();
});
afterAll(() => server.stop());

const open = async (at = server) => connectValkeyLimits({ url: at.url, logger: pino({ level: 'silent' }) });

describeLimits('Valkey', open);

describe('limits over Valkey', () => {
  it('are one for all processes', async () => {
    const [one, two] = await Promise.all([open(), open()]);
    const id = randomUUID();
    const taken = [];
    for (const limits of [one, two, one]) taken.push(await limits.takeRequest(id, { perMinute: 2 }));

    expect(taken.map(({ allowed }) => allowed)).toEqual([true, true, false]);
    expect([await one.enter(id, 'a', 1), await two.enter(id, 'b', 1)]).toEqual([true, false]);
    await two.leave(id, 'a');
    expect(await one.enter(id, 'b', 1)).toBe(true);
    await Promise.all([one.close(), two.close()]);
  });

  it('limit nothing while the server is away, and hold again when it is back', async () => {
    const own = await startValkey();
    const limits = await open(own);
    const id = randomUUID();
    await own.stop();
    for (let asked = 0; asked < 3; asked += 1) {
      expect((await limits.takeRequest(id, { perMinute: 1 })).allowed).toBe(true);
      expect(await limits.enter(id, String(asked), 1)).toBe(true);
    }
    await limits.leave(id, '0');
    expect(await limits.oldest(id, 0, 10)).toEqual([]);
    await own.start();

    await expect
      .poll(async () => (await limits.takeRequest(id, { perMinute: 1 })).allowed, { timeout: 10_000 })
      .toBe(false);
    await limits.close();
    await own.stop();
  });
});
