import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Job } from '../../services/core/job.ts';
import { Accounts } from '../../services/data/accounts.ts';
import { jobItem } from '../../services/data/job-items.ts';
import { createMetering } from '../../services/metering/app.ts';
import type { Table } from '../../services/ports/table/port.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';
import { openCloudTable } from '../support/cloud-table.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';
import { aJob } from '../support/jobs.ts';
import { mimeo, newFolder } from './command.ts';

let aws: EmulatedAws;
beforeAll(async () => {
  aws = await startEmulatedAws();
});
afterAll(() => aws.stop());

/** One job that was metered and one that was not. */
async function fill(table: Table): Promise<Job> {
  const at = Date.now() - 3_600_000;
  const times = { createdAt: at, startedAt: at, completedAt: at + 2000, billedMs: 2000, costMicroUsd: 200 };
  const [known, missing] = [0, 1].map(() => aJob({ status: 'succeeded', attempt: 1, ...times }));
  if (!known || !missing) throw new Error('no jobs');
  for (const job of [known, missing]) await table.write([{ op: 'put', item: jobItem(job) }]);
  const after = jobItem(known);
  await createMetering(table).handle([{ id: '1', key: after, before: undefined, after }]);
  return missing;
}

test('tells what the ledger of a home lacks, and repairs it', async () => {
  const home = await newFolder();
  const table = openSqliteTable({ path: join(home, 'mimeo.db') });
  const missing = await fill(table);
  const verify = async (...more: readonly string[]) =>
    mimeo(['ledger', 'verify', ...more], { env: { MIMEO_HOME: home } });

  const found = await verify();
  expect(found).toMatchObject({ code: 1 });
  expect(found.stdout).toContain(`${missing.id} has no usage record (200 micro-dollars)`);
  expect(await verify('--repair')).toMatchObject({ code: 0 });
  const again = await verify('--json');
  expect(again.code).toBe(0);
  expect(JSON.parse(again.stdout)).toMatchObject({ jobs: 2, records: 2, differences: [] });
  await table.close();
});

test("tells what a table's ledger lacks, by the operator's own credentials", async () => {
  const cloud = await openCloudTable(aws);
  const missing = await fill(cloud.table);
  await new Accounts(cloud.table).put({
    username: 'local',
    type: 'user',
    name: 'Local',
    githubUrl: null,
    avatarUrl: null,
    createdAt: Date.now(),
  });
  const { endpoint, region, credentials } = aws.client;
  const env = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };

  const { code, stdout } = await mimeo(['ledger', 'verify', '--table', cloud.tableName, '--json'], { env });
  const unknown = await mimeo(['ledger', 'verify', '--table', 'nonesuch'], { env });

  expect(code).toBe(1);
  expect(JSON.parse(stdout).differences).toMatchObject([{ kind: 'missing_record', job: missing.id }]);
  expect(unknown).toMatchObject({ code: 1 });
  expect(unknown.stderr).toContain('The table nonesuch cannot be used');
  await cloud.close();
});

test('says where it has looked for a home that is not there', async () => {
  const { code, stderr } = await mimeo(['ledger', 'verify', '--home', '/nonexistent']);

  expect(code).toBe(1);
  expect(stderr).toContain('There is no /nonexistent/mimeo.db');
});
