import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { ensureFirstToken } from '../../services/api/first-token.ts';
import { newToken } from '../../services/core/ids.ts';
import { Accounts } from '../../services/data/accounts.ts';
import { createSecretsManager } from '../../services/ports/secrets/secrets-manager.ts';
import { createDynamoTable } from '../../services/ports/table/dynamodb.ts';
import type { Table } from '../../services/ports/table/port.ts';
import { type EmulatedAws, makeTable, startEmulatedAws } from '../support/emulated-aws.ts';

let aws: EmulatedAws;
let manager: SecretsManagerClient;
let secrets: ReturnType<typeof createSecretsManager>;
let table: Table;
let accounts: Accounts;
let secretId: string;
let platforms = 0;

beforeAll(async () => {
  aws = await startEmulatedAws();
  manager = new SecretsManagerClient(aws.client);
  secrets = createSecretsManager(aws.client);
});
afterAll(async () => {
  secrets.close();
  manager.destroy();
  await aws.stop();
});

beforeEach(async () => {
  platforms += 1;
  const name = `platform-${platforms}`;
  const client = new DynamoDBClient(aws.client);
  await makeTable(client, name);
  table = createDynamoTable({ client, tableName: name, cursorKey: 'key' });
  accounts = new Accounts(table);
  secretId = (await manager.send(new CreateSecretCommand({ Name: name }))).ARN ?? '';
});

const start = (over: Partial<Parameters<typeof ensureFirstToken>[0]> = {}) =>
  ensureFirstToken({ accounts, secrets, secretId, now: () => 1_000, ...over });

/** A table whose writes fail, as of a process that dies before them. */
const unwritten = (): Accounts =>
  new Accounts({ ...table, write: async () => Promise.reject(new Error('died')) });

it('a platform’s first start puts a token into the secret that opens the account admin', async () => {
  expect(await start()).toBe(true);

  const secret = (await secrets.get(secretId)) ?? '';
  expect(secret).toMatch(/^r8_[a-z2-7]{37}$/);
  expect(await accounts.findToken(secret)).toMatchObject({
    account: 'admin',
    name: 'first',
    revokedAt: null,
  });
  expect(await accounts.get('admin')).toMatchObject({ username: 'admin', type: 'user' });
  expect(await accounts.names()).toEqual(['admin']);
});

it('of many that start at once one makes the token, and it is the one in the secret', async () => {
  const made = await Promise.all(Array.from({ length: 8 }, () => start()));

  expect(made.filter(Boolean)).toHaveLength(1);
  const tokens = await accounts.tokens('admin');
  expect(tokens).toHaveLength(1);
  expect((await accounts.findToken((await secrets.get(secretId)) ?? ''))?.id).toBe(tokens[0]?.id);
});

it('a start that died after the secret was written leaves its token to the next one', async () => {
  await expect(start({ accounts: unwritten() })).rejects.toThrow('died');
  const secret = await secrets.get(secretId);
  expect(secret).toBeDefined();
  expect(await accounts.findToken(secret ?? '')).toBeUndefined();

  expect(await start()).toBe(true);

  expect(await secrets.get(secretId)).toBe(secret);
  expect(await accounts.findToken(secret ?? '')).toMatchObject({ account: 'admin' });
});

it('a restart makes no other token, not even where the first was revoked and the secret has another text', async () => {
  await start();
  const [token] = await accounts.tokens('admin');
  await accounts.revokeToken('admin', token?.id ?? '', 2_000);
  const broken = { get: () => Promise.reject(new Error('was asked')), putFirst: secrets.putFirst };

  expect(await start({ secrets: broken })).toBe(false);

  const tokens = await accounts.tokens('admin');
  expect(tokens).toEqual([{ ...token, revokedAt: 2_000 }]);
});

it('an account admin that an operator had made is left as it is and gets the token', async () => {
  const account = { username: 'admin', type: 'organization', name: 'Ops', createdAt: 5 } as const;
  await accounts.put({ ...account, githubUrl: null, avatarUrl: null });

  expect(await start()).toBe(true);

  expect(await accounts.get('admin')).toMatchObject(account);
  expect(await accounts.tokens('admin')).toHaveLength(1);
});

it('a secret takes its first text once: whoever comes later is told what it is', async () => {
  const [first, second] = [newToken(), newToken()];

  expect(await secrets.putFirst(secretId, first)).toBe(first);
  expect(await secrets.putFirst(secretId, second)).toBe(first);
});
