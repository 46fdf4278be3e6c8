import { afterEach, beforeEach, expect, it } from 'vitest';
import { verifyInTurns } from '../../services/metering/ledger-turns.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { aJob } from '../support/jobs.ts';

const accounts = ['ada', 'bob', 'eve'];

let test: TestApi;
/** Accounts whose jobs were read, in order. */
let read: string[];
beforeEach(async () => {
  test = await openApi();
  for (const account of accounts) {
    const createdAt = test.clock.now - 3_600_000;
    const job = aJob({ account, createdAt });
    await test.flow.jobs.create(job, {}, { traceparent: null, secrets: [] });
  }
  read = [];
  const { query } = test.table;
  test.table.query = async (partition, options) => {
    const [, account] = /^PREDICTIONS#(.+)$/.exec(partition.pk) ?? [];
    if (account !== undefined) read.push(account);
    return await query(partition, options);
  };
});
afterEach(async () => test.close());

/** Verifies with time for the jobs of so many accounts. */
async function verify(most: number) {
  read = [];
  const isTimeUp = () => read.length >= most;
  return await verifyInTurns({
    table: test.table,
    accounts,
    now: () => test.clock.now,
    settleMs: 1,
    isTimeUp,
  });
}

it('goes on with the account that it did not get through', async () => {
  expect(await verify(2)).toMatchObject({ isComplete: false, stoppedAt: 'bob' });
  expect(await verify(Number.POSITIVE_INFINITY)).toMatchObject({ isComplete: true });
  expect(read).toEqual(['bob', 'eve', 'ada']);

  await verify(Number.POSITIVE_INFINITY);
  expect(read).toEqual(accounts);
});

it('gives each account its turn, also where one takes all the time', async () => {
  const first: (string | undefined)[] = [];
  for (let runs = 0; runs < 4; runs += 1) {
    await verify(1);
    first.push(read[0]);
  }

  expect(first).toEqual(['ada', 'bob', 'eve', 'ada']);
});
