import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bundleServices } from '../../build/bundles.ts';
import { newToken } from '../../services/core/ids.ts';
import { Accounts } from '../../services/data/accounts.ts';
import { createDynamoClient, createDynamoTable } from '../../services/ports/table/dynamodb.ts';
import { type EmulatedAws, makeTable, startEmulatedAws } from '../support/emulated-aws.ts';
import { startValkey, type ValkeyServer } from '../support/valkey.ts';

let folder: string;
let aws: EmulatedAws;
let valkey: ValkeyServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mimeo-container-'));
  [aws, valkey] = await Promise.all([startEmulatedAws(), startValkey()]);
  await bundleServices(resolve(import.meta.dirname, '../..'), folder, ['api']);
});
afterAll(async () => {
  await Promise.all([aws.stop(), valkey.stop()]);
  await rm(folder, { recursive: true, force: true });
});

async function makeAccount(): Promise<string> {
  const client = createDynamoClient(aws.client);
  await makeTable(client, 'mimeo');
  const table = createDynamoTable({ client, tableName: 'mimeo', cursorKey: 'a secret of the test' });
  const accounts = new Accounts(table);
  const account = { username: 'ada', type: 'user', name: 'Ada', githubUrl: null, avatarUrl: null } as const;
  await accounts.put({ ...account, createdAt: 0 });
  const secret = newToken();
  await accounts.putToken(secret, { id: 't', account: 'ada', name: 'test', createdAt: 0, revokedAt: null });
  await table.close();
  return secret;
}

it('the api’s bundle serves, in a process that may write no file and start no other, and leaves on SIGTERM', async () => {
  const token = await makeAccount();
  const env = {
    // What the image sets, but for the address: only this machine is to reach it.
    NODE_ENV: 'production',
    MIMEO_HOST: '127.0.0.1',
    MIMEO_PORT: '0',
    MIMEO_TABLE: 'mimeo',
    MIMEO_QUEUE_PREFIX: 'mimeo-jobs-',
    MIMEO_BUCKET: 'mimeo-outputs',
    MIMEO_CHANNEL_URL: valkey.url,
    MIMEO_PUBLIC_URL: 'https://mimeo.example.com',
    MIMEO_SIGNING_KEY: randomBytes(32).toString('base64'),
    MIMEO_REPOSITORY_PREFIX: 'mimeo',
    MIMEO_PUSH_ROLE_ARN: 'arn:aws:iam::123456789012:role/mimeo-push',
    MIMEO_DRAIN_SECONDS: '2',
    MIMEO_DEREGISTRATION_SECONDS: '0',
    AWS_ENDPOINT_URL: aws.client.endpoint,
    AWS_REGION: aws.client.region,
    AWS_ACCESS_KEY_ID: aws.client.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: aws.client.credentials.secretAccessKey,
  };
  // Node's own permissions stand in for a read-only root and an image without a shell.
  const options = ['--permission', '--allow-fs-read=*'];
  const child = spawn(process.execPath, [...options, join(folder, 'api/main.mjs')], { cwd: '/', env });
  const said: string[] = [];
  const exited = once(child, 'exit');
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => said.push(line));
  try {
    const portOf = () => /"port":(\d+),"msg":"the api is ready"/.exec(said.join('\n'))?.[1];
    await expect.poll(portOf, { timeout: 20_000, message: said.join('\n') }).toBeDefined();
    const url = `http://127.0.0.1:${portOf()}`;
    const headers = { authorization: `Bearer ${token}` };

    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    const account = await fetch(`${url}/v1/account`, { headers });
    expect(await account.json()).toMatchObject({ username: 'ada' });
    const login = await fetch(`${url}/v1/registry/token`, { method: 'POST', headers });
    expect(await login.json()).toMatchObject({ username: 'AWS', repository_prefix: 'mimeo/ada' });

    child.kill('SIGTERM');
    await exited;
    expect({ code: child.exitCode, said: said.filter((line) => !line.startsWith('{')) }).toEqual({
      code: 0,
      said: [],
    });
  } finally {
    child.kill('SIGKILL');
  }
});
