import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createEcrAccess, createEcrLogins } from '../../services/ports/registry/ecr.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';

const roleArn = 'arn:aws:iam::123456789012:role/mimeo-push';

let aws: EmulatedAws;
let client: EmulatedAws['client'];
/** What was asked of AWS, and with whose key. */
const asked: { readonly body: string; readonly accessKeyId: string | undefined }[] = [];
let closeTap: () => void;

beforeAll(async () => {
  aws = await startEmulatedAws();
  // Between the SDK and the emulated AWS, to see what is sent.
  const tap = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const accessKeyId = /Credential=([^/]+)\//.exec(request.headers.authorization ?? '')?.[1];
    asked.push({ body: Buffer.concat(chunks).toString(), accessKeyId });
    const { host: _host, connection: _connection, 'content-length': _length, ...headers } = request.headers;
    const answer = await fetch(`${aws.client.endpoint}${request.url}`, {
      method: 'POST',
      headers: headers as Record<string, string>,
      body: Buffer.concat(chunks),
    });
    const type = answer.headers.get('content-type') ?? '';
    // The emulated tokens ended in 2015; ECR's last for 12 hours.
    const endsAt = String(Date.now() / 1000 + 12 * 3600);
    const text = (await answer.text()).replace(/(?<="expiresAt": )[\d.]+/, endsAt);
    response.writeHead(answer.status, { 'content-type': type }).end(text);
  });
  await new Promise<void>((done) => tap.listen(0, '127.0.0.1', done));
  closeTap = () => {
    tap.closeAllConnections();
    tap.close();
  };
  client = { ...aws.client, endpoint: `http://127.0.0.1:${(tap.address() as AddressInfo).port}` };
});
afterAll(async () => {
  closeTap();
  await aws.stop();
});

it('an account’s login is a session that reaches its own repositories only, for an hour', async () => {
  const access = createEcrAccess({ client, roleArn, prefix: 'mimeo' });
  asked.length = 0;

  const login = await access.authorize('ada');

  expect(login).toMatchObject({
    url: expect.stringMatching(/^https:\/\/\d{12}\.dkr\.ecr\.eu-central-1\.amazonaws\.com$/),
    username: 'AWS',
    password: expect.stringMatching(/.+/),
  });
  expect(Math.abs(login.expiresAt - Date.now() - 3_600_000)).toBeLessThan(60_000);
  expect(access.repositoryPrefix('ada')).toBe('mimeo/ada');
  const assumed = new URLSearchParams(asked[0]?.body);
  expect(Object.fromEntries(assumed)).toMatchObject({
    Action: 'AssumeRole',
    RoleArn: roleArn,
    RoleSessionName: 'mimeo-ada',
    DurationSeconds: '3600',
  });
  const policy = JSON.parse(assumed.get('Policy') ?? '');
  expect(policy.Statement).toEqual([
    { Effect: 'Allow', Action: 'ecr:GetAuthorizationToken', Resource: '*' },
    {
      Effect: 'Allow',
      Action: expect.arrayContaining(['ecr:PutImage', 'ecr:CreateRepository']),
      Resource: 'arn:aws:ecr:eu-central-1:123456789012:repository/mimeo/ada/*',
    },
  ]);
  expect(JSON.stringify(policy)).not.toMatch(/ecr:\*|Delete|Policy"/);
  // The login is asked for as the session, not as ourselves.
  expect(asked).toHaveLength(2);
  expect(asked[1]?.accessKeyId).not.toBe('test');
});

it('an account whose name would stand for those of others gets none', async () => {
  const access = createEcrAccess({ client, roleArn, prefix: 'mimeo' });
  asked.length = 0;

  await expect(access.authorize('*')).rejects.toThrow('cannot be part of a repository');
  await expect(access.authorize('ada/../bob')).rejects.toThrow('cannot be part of a repository');
  expect(asked).toEqual([]);
});

it('a login of our own is used until shortly before its end', async () => {
  let now = Date.now();
  const logIn = createEcrLogins({ client, url: 'http://127.0.0.1:5000/', now: () => now });
  asked.length = 0;

  const first = await logIn();
  expect(await logIn()).toBe(first);
  now = first.expiresAt - 60_000;
  await logIn();

  expect(first).toMatchObject({ url: 'http://127.0.0.1:5000', username: 'AWS' });
  expect(asked).toHaveLength(2);
});

it('a login of our own that the registry has refused is not used again', async () => {
  const logIn = createEcrLogins({ client, url: 'http://127.0.0.1:5000/' });
  asked.length = 0;

  const first = await logIn();
  const second = await logIn(first);
  expect(second).not.toBe(first);
  // Who was refused at the same time takes what is new by now.
  expect(await logIn(first)).toBe(second);
  expect(asked).toHaveLength(2);
});
