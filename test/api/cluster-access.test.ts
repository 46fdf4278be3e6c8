import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ClusterTokens } from '../../services/api/cluster-tokens.ts';
import { podName, poolName } from '../../services/core/kubernetes-names.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import { poolHeader, protocolHeader, protocolVersion } from '../../services/ports/fleet-protocol/port.ts';
import { openApi, type TestApi } from '../support/api.ts';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

const directorAccount = 'mimeo:director';
const subject = `system:serviceaccount:${directorAccount}`;

let keys: KeyPair;
let otherKeys: KeyPair;
let server: Server;
let issuer: string;
/** What the issuer answers with, by path. */
let answers: Record<string, () => { readonly status?: number; readonly body: string }>;
let asked: string[];
let logged: string[];
let test: TestApi;

beforeAll(async () => {
  keys = await generateKeyPair('RS256');
  otherKeys = await generateKeyPair('RS256');
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const { status = 200, body } = answers[request.url ?? '']?.() ?? { status: 404, body: '' };
    response.writeHead(status).end(body);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/id/0123`;
});
afterAll(() => server.close());

beforeEach(async () => {
  asked = [];
  logged = [];
  answers = {
    '/id/0123/.well-known/openid-configuration': () => ({
      body: JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }),
    }),
    '/id/0123/keys': () => ({ body: '' }),
  };
  await publish({ first: keys });
  const logger = pino({ level: 'error' }, { write: (line) => void logged.push(line) });
  test = await openApi(undefined, { cluster: { issuer, directorAccount }, logger });
});
afterEach(async () => test.close());

/** From now on the issuer has these keys. */
async function publish(pairs: Readonly<Record<string, KeyPair>>): Promise<void> {
  const all = await Promise.all(
    Object.entries(pairs).map(async ([kid, pair]) => ({
      ...(await exportJWK(pair.publicKey)),
      kid,
      alg: 'RS256',
      use: 'sig',
    })),
  );
  answers['/id/0123/keys'] = () => ({ body: JSON.stringify({ keys: all }) });
}

interface Differences {
  readonly claims?: JWTPayload;
  readonly kid?: string;
  readonly signer?: KeyPair;
  /** Seconds from now until its end. */
  readonly lifeSeconds?: number;
}

/** A token as Kubernetes signs it, but for what differs. */
async function tokenWith({
  claims = {},
  kid = 'first',
  signer = keys,
  lifeSeconds = 3600,
}: Differences = {}): Promise<string> {
  const now = Math.floor(test.clock.now / 1000);
  const payload = { iss: issuer, aud: ['mimeo'], sub: subject, iat: now, exp: now + lifeSeconds, ...claims };
  return await new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid }).sign(signer.privateKey);
}

interface Answer {
  readonly status: number;
  readonly code?: string;
}

async function askForDemand(token: string, pool?: string): Promise<Answer> {
  return await ask('demand', { waitSeconds: 0 }, token, pool);
}

async function askForJob(token: string, pool?: string): Promise<Answer> {
  return await ask('lease', { instance: 'i', waitSeconds: 0 }, token, pool);
}

async function ask(name: string, request: object, token: string, pool?: string): Promise<Answer> {
  const response = await test.api.app.request(`/fleet/v1/${name}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      [protocolHeader]: String(protocolVersion),
      ...(pool === undefined ? {} : { [poolHeader]: pool }),
    },
    body: JSON.stringify(request),
  });
  const body = (await response.json()) as { readonly code?: string } | null;
  return { status: response.status, ...(body?.code === undefined ? {} : { code: body.code }) };
}

const refused = { status: 401, code: 'unauthenticated' };

describe("a token of the director's ServiceAccount", () => {
  it('makes its bearer a director', async () => {
    expect(await askForDemand(await tokenWith())).toEqual({ status: 200 });
  });

  it('is taken once more without asking for keys again', async () => {
    await askForDemand(await tokenWith());
    await askForDemand(await tokenWith({ claims: { jti: 'another' } }));

    expect(asked).toEqual(['/id/0123/.well-known/openid-configuration', '/id/0123/keys']);
  });

  it('asks for keys once, however many come at the same time', async () => {
    const token = await tokenWith();
    const statuses = await Promise.all(Array.from({ length: 5 }, () => askForDemand(token)));

    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(asked).toHaveLength(2);
  });

  it.each<[string, Differences]>([
    ['made out to somebody else', { claims: { aud: ['https://kubernetes.default.svc'] } }],
    ['made out to nobody', { claims: { aud: undefined } }],
    ['of another ServiceAccount', { claims: { sub: 'system:serviceaccount:mimeo-models:default' } }],
    ['of one with a longer name', { claims: { sub: `${subject}s` } }],
    ['of nobody', { claims: { sub: undefined } }],
    ['of another issuer', { claims: { iss: 'https://example.com' } }],
    ['whose time is over', { lifeSeconds: -60 }],
    ['without an end', { claims: { exp: undefined } }],
    ['not good yet', { claims: { nbf: Math.floor(Date.now() / 1000) + 3600 } }],
    ['signed by a key that is not there', { kid: 'second' }],
  ])('%s is refused', async (_, different) => {
    expect(await askForDemand(await tokenWith(different))).toEqual(refused);
  });

  it('signed by another key under the name of the first is refused', async () => {
    expect(await askForDemand(await tokenWith({ signer: otherKeys }))).toEqual(refused);
  });

  it('that nobody signed is refused', async () => {
    const unsigned = new UnsecuredJWT({ sub: subject })
      .setIssuer(issuer)
      .setAudience('mimeo')
      .setExpirationTime('1h')
      .encode();
    const [header = '', body = ''] = (await tokenWith()).split('.');

    expect(await askForDemand(unsigned)).toEqual(refused);
    expect(await askForDemand(`${header}.${body}.`)).toEqual(refused);
  });

  it('signed with the public key as if it were a shared secret is refused', async () => {
    const secret = new TextEncoder().encode(await exportSPKI(keys.publicKey));
    const forged = await new SignJWT({ sub: subject })
      .setProtectedHeader({ alg: 'HS256', kid: 'first' })
      .setIssuer(issuer)
      .setAudience('mimeo')
      .setExpirationTime('1h')
      .sign(secret);

    expect(await askForDemand(forged)).toEqual(refused);
  });

  it('is refused by an api that trusts no cluster', async () => {
    const token = await tokenWith();
    const alone = await openApi();
    const response = await alone.api.app.request('/fleet/v1/demand', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, [protocolHeader]: String(protocolVersion) },
      body: JSON.stringify({ waitSeconds: 0 }),
    });
    await alone.close();

    expect(response.status).toBe(401);
  });

  it('gets no account of the public API', async () => {
    const answer = await test.call('GET', '/v1/account', undefined, {
      authorization: `Bearer ${await tokenWith()}`,
    });

    expect(answer.status).toBe(401);
  });

  it("leaves the api's own tokens as they are", async () => {
    const token = test.api.fleetTokens.mint({ role: 'director' }, 60);

    expect(await askForDemand(token)).toEqual({ status: 200 });
    expect(asked).toEqual([]);
  });
});

describe("a token of a runner's ServiceAccount", () => {
  const pool = 'local/echo:a@cpu';
  const otherPool = 'local/other:b@cpu';
  const runnerSubject = 'system:serviceaccount:mimeo-models:runner';
  const forbidden = { status: 403, code: 'forbidden' };

  /** A token as Kubernetes gives it to a pod of that name. */
  const tokenOf = async (pod: unknown, claims: JWTPayload = {}) =>
    await tokenWith({ claims: { sub: runnerSubject, 'kubernetes.io': { pod: { name: pod } }, ...claims } });

  it('makes its bearer a runner of the pool that its pod is named after, and of no other', async () => {
    const token = await tokenOf(podName(pool, '0123abcd'));

    expect(await askForJob(token, pool)).toEqual({ status: 200 });
    expect(await askForJob(token, otherPool)).toEqual(forbidden);
    expect(await askForJob(await tokenOf(podName(otherPool, '0123abcd')), pool)).toEqual(forbidden);
  });

  it('reaches the jobs of its pool', async () => {
    const { id: version } = await test.addModel({ name: 'echo' });
    const created = await test.call('POST', '/v1/models/local/echo/predictions', { input: { text: 'x' } });
    const { id } = (await created.json()) as { id: string };
    const own = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });
    const other = await tokenOf(podName(otherPool, '1'));
    const status = async () => (await test.flow.jobs.get(id))?.status;

    await askForJob(other, own);
    await askForJob(other, otherPool);
    expect(await status()).toBe('starting');
    await askForJob(await tokenOf(podName(own, '1')), own);
    expect(await status()).toBe('processing');
  });

  it('makes no director', async () => {
    const token = await tokenOf(podName(pool, '1'));

    expect(await askForDemand(token, pool)).toEqual(forbidden);
    expect(await ask('drain', { pool, instance: 'i', graceSeconds: 0 }, token, pool)).toEqual(forbidden);
    expect(await ask('runner-token', { pool }, token, pool)).toEqual(forbidden);
  });

  it('without a word of its pool is refused', async () => {
    expect(await askForJob(await tokenOf(podName(pool, '1')))).toEqual(refused);
  });

  it.each<[string, unknown]>([
    ['contains the name of the pool', `x-${podName(pool, '1')}`],
    ['begins with it, and goes on', `${poolName(pool)}0-1`],
    ['is nothing but it', poolName(pool)],
    ['is that of the pool as it is', pool],
    ['is empty', ''],
    ['is no text', { toString: 1 }],
    ['is missing', undefined],
  ])('whose name of a pod %s is refused', async (_, pod) => {
    expect(await askForJob(await tokenOf(pod), pool)).toEqual(forbidden);
  });

  it.each<[string, JWTPayload]>([
    ['made out to somebody else', { aud: ['https://kubernetes.default.svc'] }],
    ['of another ServiceAccount of the namespace', { sub: 'system:serviceaccount:mimeo-models:default' }],
    ['of a runner of another namespace', { sub: 'system:serviceaccount:default:runner' }],
    ['of a longer name', { sub: `${runnerSubject}s` }],
    ['of another issuer', { iss: 'https://example.com' }],
  ])('%s is refused', async (_, claims) => {
    expect(await askForJob(await tokenOf(podName(pool, '1'), claims), pool)).toEqual(refused);
  });

  it("is not needed by a director, which stays one whatever pool it names, nor by the api's own runners", async () => {
    expect(await askForDemand(await tokenWith(), pool)).toEqual({ status: 200 });
    expect(await askForJob(await tokenWith(), pool)).toEqual(forbidden);
    const minted = test.api.fleetTokens.mint({ role: 'runner', pool }, 60);
    expect(await askForJob(minted, otherPool)).toEqual({ status: 200 });
  });
});

describe("the cluster's keys", () => {
  it('are asked for again for one that is new, once a minute', async () => {
    await askForDemand(await tokenWith());
    await publish({ first: keys, second: otherKeys });
    const second = await tokenWith({ kid: 'second', signer: otherKeys });

    expect(await askForDemand(second)).toEqual(refused);
    expect(await askForDemand(second)).toEqual(refused);
    expect(asked).toHaveLength(2);
    test.clock.now += 60_000;
    expect(await askForDemand(second)).toEqual({ status: 200 });
    expect(asked).toHaveLength(4);
  });

  it('that were withdrawn end within an hour', async () => {
    const token = await tokenWith({ lifeSeconds: 10_000 });
    await askForDemand(token);
    await publish({ second: otherKeys });
    test.clock.now += 3_600_000;

    expect(await askForDemand(token)).toEqual(refused);
  });

  it('stay known while the issuer is down', async () => {
    await askForDemand(await tokenWith());
    answers = {};
    test.clock.now += 60_000;

    expect(await askForDemand(await tokenWith({ kid: 'second' }))).toEqual(refused);
    expect(await askForDemand(await tokenWith())).toEqual({ status: 200 });
  });

  const discovery = '/id/0123/.well-known/openid-configuration';
  const otherwise = (change: object) => JSON.stringify({ issuer, jwks_uri: `${issuer}/keys`, ...change });
  it.each<[string, string, () => { readonly status?: number; readonly body: string }]>([
    ['an issuer that fails', discovery, () => ({ status: 500, body: '' })],
    [
      'one that calls itself something else',
      discovery,
      () => ({ body: otherwise({ issuer: 'https://example.com' }) }),
    ],
    [
      'keys over an open line',
      discovery,
      () => ({ body: otherwise({ jwks_uri: 'http://example.com/keys' }) }),
    ],
    ['an answer without end', '/id/0123/keys', () => ({ body: 'x'.repeat(100_000) })],
    ['no JSON', '/id/0123/keys', () => ({ body: '<html>' })],
  ])(
    'that cannot be had, because of %s, are no fault of the token, and it is logged',
    async (_, path, answer) => {
      answers[path] = answer;

      expect(await askForDemand(await tokenWith())).toEqual({ status: 503, code: 'unavailable' });
      expect(logged.join()).toContain("The cluster's issuer cannot be asked for its keys");
    },
  );

  it('are asked for again a few seconds after the issuer was down at first', async () => {
    const { '/id/0123/keys': working } = answers;
    answers['/id/0123/keys'] = () => ({ status: 500, body: '' });
    expect(await askForDemand(await tokenWith())).toMatchObject({ status: 503 });
    if (working) answers['/id/0123/keys'] = working;

    expect(await askForDemand(await tokenWith())).toMatchObject({ status: 503 });
    test.clock.now += 5000;
    expect(await askForDemand(await tokenWith())).toEqual({ status: 200 });
  });

  it('are not fetched of an issuer that is not https', () => {
    const trust = { issuer: 'http://example.com/id', directorAccount };

    expect(() => new ClusterTokens(trust, Date.now)).toThrow('http://example.com/id is not https');
  });
});
