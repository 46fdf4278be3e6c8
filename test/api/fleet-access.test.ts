import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FleetTokens } from '../../services/api/fleet-tokens.ts';
import { streamKeyOf } from '../../services/core/signing-keys.ts';
import { protocolHeader, protocolVersion } from '../../services/ports/fleet-protocol/port.ts';
import { openApi, type TestApi, testSigningKey } from '../support/api.ts';

const identity = { role: 'runner', pool: 'local/echo@cpu' } as const;

let test: TestApi;
beforeAll(async () => {
  test = await openApi();
});
afterAll(async () => test.close());

async function lease(headers: Record<string, string>, body: unknown = { instance: 'i', waitSeconds: 0 }) {
  const response = await test.api.app.request('/fleet/v1/lease', {
    method: 'POST',
    headers: { 'content-type': 'application/json', [protocolHeader]: String(protocolVersion), ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return {
    status: response.status,
    body: (await response.json()) as { code: string; detail: string } | null,
  };
}

function bearer(token: string) {
  return { authorization: `Bearer ${token}` };
}

describe('a fleet token', () => {
  it('opens the protocol', async () => {
    const token = test.api.fleetTokens.mint(identity, 60);

    expect(await lease(bearer(token))).toEqual({ status: 200, body: null });
  });

  it('ends with its time', async () => {
    const token = test.api.fleetTokens.mint(identity, 60);
    test.clock.now += 61_000;

    expect(await lease(bearer(token))).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
  });

  it('of another key is refused', async () => {
    // The second is what those hold who sign URLs of streams.
    for (const key of [Buffer.alloc(32, 8), streamKeyOf(testSigningKey)]) {
      const forged = new FleetTokens(key, () => test.clock.now).mint(identity, 60);
      expect((await lease(bearer(forged))).status).toBe(401);
    }
  });

  it('that was changed in any part is refused', async () => {
    const token = test.api.fleetTokens.mint(identity, 60);
    const [kind, , expires, signature] = token.split('.');
    const director = Buffer.from(JSON.stringify({ role: 'director' })).toString('base64url');
    const changed = [
      [kind, director, expires, signature],
      [kind, token.split('.')[1], String(Number(expires) + 1), signature],
      [kind, token.split('.')[1], expires, ''],
      ['mft2', ...token.split('.').slice(1)],
      ['mft'],
      [''],
    ].map((parts) => parts.join('.'));

    for (const forged of changed) expect((await lease(bearer(forged || 'x'))).status, forged).toBe(401);
  });

  it('opens nothing else, and an API token does not open the protocol', async () => {
    const token = test.api.fleetTokens.mint(identity, 60);

    expect((await test.call('GET', '/v1/account', undefined, bearer(token))).status).toBe(401);
    expect((await lease(bearer(test.token))).status).toBe(401);
    expect((await lease({})).status).toBe(401);
  });
});

describe("a director's runners", () => {
  const runnerToken = async (as: Parameters<typeof test.api.fleetTokens.mint>[0]) => {
    const response = await test.api.app.request('/fleet/v1/runner-token', {
      method: 'POST',
      headers: {
        ...bearer(test.api.fleetTokens.mint(as, 60)),
        'content-type': 'application/json',
        [protocolHeader]: String(protocolVersion),
      },
      body: JSON.stringify({ pool: 'local/other@cpu' }),
    });
    return {
      status: response.status,
      body: (await response.json()) as { token: string; lifeSeconds: number },
    };
  };

  it('get tokens that open their own pool for an hour', async () => {
    const { status, body } = await runnerToken({ role: 'director' });

    expect(status).toBe(200);
    expect(test.api.fleetTokens.verify(body.token)).toEqual({ role: 'runner', pool: 'local/other@cpu' });
    test.clock.now += body.lifeSeconds * 1000;
    expect(() => test.api.fleetTokens.verify(body.token)).toThrow('not valid');
  });

  it('are given none by asking themselves', async () => {
    expect((await runnerToken(identity)).status).toBe(403);
  });
});

describe('the protocol', () => {
  it.each([undefined, '0', '2', 'x'])('is not spoken in version %s', async (version) => {
    const response = await test.api.app.request('/fleet/v1/lease', {
      method: 'POST',
      headers: {
        ...bearer(test.api.fleetTokens.mint(identity, 60)),
        ...(version === undefined ? {} : { [protocolHeader]: version }),
      },
      body: JSON.stringify({ instance: 'i', waitSeconds: 0 }),
    });

    expect(response.status).toBe(426);
    expect(await response.json()).toMatchObject({ code: 'protocol_unsupported' });
  });

  it.each([
    ['a wait that is too long', { instance: 'i', waitSeconds: 21 }, 422],
    ['a wait that is negative', { instance: 'i', waitSeconds: -1 }, 422],
    ['no instance', { waitSeconds: 0 }, 422],
    ['an instance without end', { instance: 'i'.repeat(201), waitSeconds: 0 }, 422],
    ['a list', [], 422],
    ['no JSON', '{', 400],
    ['nothing', '', 400],
  ])('refuses %s', async (_, body, status) => {
    const answer = await lease(bearer(test.api.fleetTokens.mint(identity, 60)), body);

    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ status, detail: expect.stringMatching(/./) });
  });
});
