import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Pushes } from '../../services/data/pushes.ts';
import { createEcrAccess } from '../../services/ports/registry/ecr.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';

const roleArn = 'arn:aws:iam::123456789012:role/mimeo-push';

let aws: EmulatedAws;
let test: TestApi;
let local: TestApi;
beforeAll(async () => {
  aws = await startEmulatedAws();
  const registry = createEcrAccess({ client: aws.client, roleArn, prefix: 'mimeo' });
  [test, local] = await Promise.all([openApi(undefined, { registry }), openApi()]);
});
afterAll(async () => {
  await Promise.all([test.close(), local.close()]);
  await aws.stop();
});

// biome-ignore lint/suspicious/noExplicitAny: -- tests read what they expect from the answer
async function json(of: TestApi, method: string, path: string, headers = {}): Promise<any> {
  const response = await of.call(method, path, undefined, headers);
  const body = (await response.json()) as object;
  return { status: response.status, headers: response.headers, ...body };
}

describe('a server with a container registry', () => {
  it('takes images, and gives a login for the caller’s repositories that is kept nowhere', async () => {
    expect(await json(test, 'GET', '/v1/registry')).toMatchObject({ accepts: 'image' });
    const token = await json(test, 'POST', '/v1/registry/token');

    expect(token).toMatchObject({
      status: 200,
      registry: expect.stringMatching(/^\d{12}\.dkr\.ecr\.eu-central-1\.amazonaws\.com$/),
      username: 'AWS',
      password: expect.stringMatching(/.+/),
      created_at: new Date(test.clock.now).toISOString().replace('Z', '000Z'),
      expires_at: expect.stringMatching(/Z$/),
      repository_prefix: 'mimeo/local',
    });
    expect(token.headers.get('cache-control')).toBe('no-store');
  });

  it('gives none without a token', async () => {
    const answer = await json(test, 'POST', '/v1/registry/token', { authorization: 'Bearer no' });

    expect(answer).toMatchObject({ status: 401, code: 'unauthenticated' });
  });
});

it('a server without one says what it takes instead', async () => {
  expect(await json(local, 'GET', '/v1/registry')).toMatchObject({ accepts: 'source' });
  expect(await json(local, 'POST', '/v1/registry/token')).toMatchObject({
    status: 404,
    code: 'not_found',
    detail: expect.stringContaining('npx mimeo push DIR OWNER/NAME'),
  });
});

describe('pushes of a model', () => {
  const digest = (digit: string) => `sha256:${digit.repeat(64)}`;

  it('are shown to its owner, the newest first, page by page, with why one was refused', async () => {
    const pushes = new Pushes(test.table);
    const one = { model: 'local/echo', tag: null, reason: null };
    for (let at = 0; at < 26; at += 1) {
      const pushedAt = test.clock.now + at * 1000;
      await pushes.record({ ...one, digest: digest('a'), tag: `v${at}`, pushedAt, version: 'a'.repeat(64) });
    }
    const refused = { ...one, version: null, reason: 'It has no labels.', tag: 'latest' };
    await pushes.record({ ...refused, digest: digest('b'), pushedAt: test.clock.now + 60_000 });
    await pushes.record({ ...refused, model: 'local/other', digest: digest('c'), pushedAt: test.clock.now });

    const first = await json(test, 'GET', '/v1/models/local/echo/pushes');
    expect(first.results).toHaveLength(25);
    expect(first.results[0]).toEqual({
      digest: digest('b'),
      tag: 'latest',
      created_at: expect.stringMatching(/Z$/),
      status: 'refused',
      version: null,
      reason: 'It has no labels.',
    });
    expect(first.results[1]).toMatchObject({ tag: 'v25', status: 'registered', version: 'a'.repeat(64) });
    const second = await json(test, 'GET', first.next.replace(/^https?:\/\/[^/]+/, ''));
    expect(second.results.map(({ tag }: { tag: string }) => tag)).toEqual(['v1', 'v0']);
    expect(second.next).toBeNull();
  });

  it('are not there for anybody else', async () => {
    const token = await test.addAccount('eve');
    const answer = await json(test, 'GET', '/v1/models/local/echo/pushes', {
      authorization: `Bearer ${token}`,
    });

    expect(answer).toMatchObject({ status: 404, code: 'not_found' });
  });

  it('are forgotten after 30 days', async () => {
    test.clock.now += 31 * 24 * 3600 * 1000;

    expect((await json(test, 'GET', '/v1/models/local/echo/pushes')).results).toEqual([]);
  });
});
