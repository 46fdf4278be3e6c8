import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Accounts } from '../../services/data/accounts.ts';
import type { Table } from '../../services/ports/table/port.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';
import { type CloudTable, openCloudTable } from '../support/cloud-table.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';
import { mimeo, newFolder } from './command.ts';

let aws: EmulatedAws;
let cloud: CloudTable;
beforeAll(async () => {
  aws = await startEmulatedAws();
  cloud = await openCloudTable(aws);
});
afterAll(async () => {
  await cloud.close();
  await aws.stop();
});

interface Store {
  readonly table: Table;
  readonly env: Readonly<Record<string, string>>;
}

async function localHome(): Promise<Store> {
  const home = await newFolder();
  return { table: openSqliteTable({ path: join(home, 'mimeo.db') }), env: { MIMEO_HOME: home } };
}

async function cloudTable(): Promise<Store> {
  const { endpoint, region, credentials } = aws.client;
  return {
    table: cloud.table,
    env: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      MIMEO_TABLE: cloud.tableName,
    },
  };
}

describe.each([
  ["a machine's own state", localHome],
  ['a table in the cloud', cloudTable],
])('accounts and tokens in %s', (_, open) => {
  it('are made, listed and revoked; a secret is shown once and stored as a hash', async () => {
    const { table, env } = await open();
    const accounts = new Accounts(table);
    const created = await mimeo(['accounts', 'create', 'ada', '--display-name', 'Ada'], { env });
    const again = await mimeo(['accounts', 'create', 'ada'], { env });
    const second = await mimeo(['tokens', 'create', 'ada', '--name', 'ci'], { env });
    const list = async () => JSON.parse((await mimeo(['tokens', 'list', 'ada', '--json'], { env })).stdout);
    const [first, ci] = await list();
    const revoked = await mimeo(['tokens', 'revoke', 'ada', ci.id], { env });

    expect(created).toMatchObject({ code: 0, stdout: expect.stringMatching(/^r8_[a-z2-7]{37}\n$/) });
    expect(await accounts.get('ada')).toMatchObject({ type: 'user', name: 'Ada' });
    expect(again).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('tokens create ada'),
    });
    expect([first, ci]).toMatchObject([
      { name: 'first', revoked_at: null },
      { name: 'ci', revoked_at: null },
    ]);
    expect(revoked.code).toBe(0);
    expect(await list()).toMatchObject([{ revoked_at: null }, { revoked_at: expect.any(String) }]);
    expect(await accounts.findToken(created.stdout.trim())).toMatchObject({
      account: 'ada',
      revokedAt: null,
    });
    expect((await accounts.findToken(second.stdout.trim()))?.revokedAt).toBeGreaterThan(0);
    expect(JSON.stringify(await accounts.tokens('ada'))).not.toContain(second.stdout.trim());
  });

  it('says what is not there', async () => {
    const { env } = await open();
    const run = async (...words: readonly string[]) => mimeo(words, { env });

    expect((await run('tokens', 'create', 'eve')).stderr).toContain('accounts create eve');
    expect((await run('tokens', 'list', 'eve')).stderr).toContain('accounts create eve');
    expect((await run('tokens', 'revoke', 'eve', 'x')).stderr).toContain('tokens list eve');
    expect(await run('accounts', 'create', 'No Name')).toMatchObject({ code: 2 });
  });
});
