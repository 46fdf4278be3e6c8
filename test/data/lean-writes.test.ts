import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Job, JobEvent } from '../../services/core/job.ts';
import { jobItem, payloadItem } from '../../services/data/job-items.ts';
import { Jobs, type Result } from '../../services/data/jobs.ts';
import { openFilesystemObjects } from '../../services/ports/objects/filesystem.ts';
import { createDynamoClient, createDynamoTable } from '../../services/ports/table/dynamodb.ts';
import type { Table, WriteOp } from '../../services/ports/table/port.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';
import { type EmulatedAws, makeTable, startEmulatedAws } from '../support/emulated-aws.ts';
import { aJob } from '../support/jobs.ts';

let aws: EmulatedAws;
beforeAll(async () => {
  aws = await startEmulatedAws();
  await makeTable(createDynamoClient(aws.client), 'mimeo');
});
afterAll(() => aws.stop());

const stores = [
  { name: 'SQLite', open: (folder: string): Table => openSqliteTable({ path: join(folder, 'table.db') }) },
  {
    name: 'DynamoDB',
    open: (): Table =>
      createDynamoTable({ client: createDynamoClient(aws.client), tableName: 'mimeo', cursorKey: 'a key' }),
  },
];

describe.each(stores)('jobs in $name', ({ open }) => {
  let folder: string;
  let table: Table;
  let writes: (readonly WriteOp[])[];
  /** Called before each write; what it throws is thrown in place of the write. */
  let before: (ops: readonly WriteOp[]) => Promise<void>;
  /** Two processes on one table. */
  let jobs: Jobs;
  let others: Jobs;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mimeo-lean-'));
    const store = open(folder);
    writes = [];
    before = async () => {};
    table = {
      ...store,
      async write(ops, durability) {
        await before(ops);
        await store.write(ops, durability);
        writes.push(ops);
      },
    };
    const objects = openFilesystemObjects({
      root: join(folder, 'objects'),
      baseUrl: () => 'http://127.0.0.1:1',
      signingKey: Buffer.alloc(32).toString('base64'),
    });
    jobs = new Jobs(table, objects);
    others = new Jobs(store, objects);
  });
  afterEach(async () => {
    await table.close();
    await rm(folder, { recursive: true });
  });

  const options = { traceparent: null, secrets: [] };
  const cancel = { type: 'cancel', at: 2, reason: 'canceled' } as const;
  const lost = { type: 'lease_lost', at: 3, attempt: 1, outputShown: false } as const;

  function end(attempt = 1): JobEvent {
    const outcome = { status: 'succeeded', predictMs: 1 } as const;
    return { type: 'ended', at: 4, attempt, outcome, outputShown: false, acceptedAfterMs: 0 };
  }

  function lease(at = 1): JobEvent {
    return { type: 'leased', at, instance: 'i', leaseMs: 60_000 };
  }

  function resultOf(output: string, attempt = 1): Result {
    return { output, logs: '', metrics: {}, attempt };
  }

  /** Does `work` once, when the row of a job is about to be written. */
  function beforeTheRow(work: () => Promise<unknown>): void {
    before = async (ops) => {
      if (!ops.some((op) => op.op === 'put' && op.item.sk === 'JOB')) return;
      before = async () => {};
      await work();
    };
  }

  async function leased(): Promise<Job> {
    const job = aJob();
    await jobs.create(job, { text: 'a' }, options);
    const decided = await jobs.applyTo(job, lease());
    if (decided?.kind !== 'write') throw new Error('The job could not be leased');
    return decided.job;
  }

  it('the plain life of a job is five writes of one item each', async () => {
    const running = await leased();
    await jobs.applyTo(running, end(), resultOf('a'));

    const items = writes.map((ops) => ops.map((op) => (op.op === 'put' ? op.item.sk : op.op)));
    expect(items).toEqual([['INPUT'], ['JOB'], ['JOB'], ['RESULT'], ['JOB']]);
  });

  describe('of an end and a cancel at the same moment', () => {
    it('the cancel wins with what it knew where it was written first', async () => {
      const running = await leased();
      beforeTheRow(async () => others.applyTo(running, cancel, resultOf('of the cancel')));

      expect(await jobs.applyTo(running, end(), resultOf('of the end'))).toBeUndefined();

      expect(await jobs.record(running.id)).toMatchObject({
        job: { status: 'canceled' },
        result: { output: 'of the cancel' },
      });
    });

    it('the end wins with its output where it was written first', async () => {
      const running = await leased();
      beforeTheRow(async () => others.applyTo(running, end(), resultOf('of the end')));

      expect(await jobs.applyTo(running, cancel, resultOf('of the cancel'))).toBeUndefined();

      expect(await jobs.record(running.id)).toMatchObject({
        job: { status: 'succeeded' },
        result: { output: 'of the end' },
      });
    });

    it('nothing is shown of the end where the cancel, which knew nothing, won', async () => {
      const running = await leased();
      beforeTheRow(async () => others.applyTo(running, cancel));

      expect(await jobs.applyTo(running, end(), resultOf('of the end'))).toBeUndefined();

      expect(await jobs.record(running.id)).toMatchObject({ job: { status: 'canceled' }, result: undefined });
    });
  });

  describe('a result whose writer died before the end was written', () => {
    let running: Job;
    beforeEach(async () => {
      running = await leased();
      beforeTheRow(async () => {
        throw new Error('killed');
      });
      await expect(jobs.applyTo(running, end(), resultOf('unsaid'))).rejects.toThrow('killed');
    });

    it('is shown to nobody', async () => {
      expect(await others.record(running.id)).toMatchObject({
        job: { status: 'processing' },
        result: undefined,
      });
    });

    it('makes way for the result of the next attempt', async () => {
      const putBack = await others.applyTo(running, lost);
      if (putBack?.kind !== 'write') throw new Error('The job could not be put back');
      const again = await others.applyTo(putBack.job, lease(5));
      if (again?.kind !== 'write') throw new Error('The job could not be leased again');
      await others.applyTo(again.job, end(2), resultOf('said', 2));

      expect((await others.record(running.id))?.result).toMatchObject({ output: 'said', attempt: 2 });
    });

    it('is not the result of a job that is canceled while it waits for the next attempt', async () => {
      const putBack = await others.applyTo(running, lost);
      if (putBack?.kind === 'write') await others.applyTo(putBack.job, cancel);

      expect(await others.record(running.id)).toMatchObject({
        job: { status: 'canceled' },
        result: undefined,
      });
    });

    it('is taken over where the same end is sent again', async () => {
      await jobs.applyTo(running, end(), resultOf('unsaid'));

      expect((await others.record(running.id))?.result?.output).toBe('unsaid');
    });
  });

  describe('of two requests with one idempotency key', () => {
    let winner: Job;
    let loser: Job;
    beforeEach(() => {
      winner = aJob({ requestDigest: 'a'.repeat(64) });
      loser = { ...winner, requestDigest: 'b'.repeat(64) };
    });

    it('the one whose row comes first keeps its input', async () => {
      beforeTheRow(async () => others.create(winner, { text: 'of the winner' }, options));

      await expect(jobs.create(loser, { text: 'of the loser' }, options)).rejects.toThrow('Condition failed');

      expect(await jobs.record(winner.id)).toMatchObject({
        job: { requestDigest: winner.requestDigest },
        input: { text: 'of the winner' },
      });
    });

    it('the second is as good as the first where that died before its row', async () => {
      beforeTheRow(async () => {
        throw new Error('killed');
      });
      await expect(jobs.create(loser, { text: 'of the dead' }, options)).rejects.toThrow('killed');

      await others.create(winner, { text: 'of the winner' }, options);

      expect((await others.record(winner.id))?.input).toEqual({ text: 'of the winner' });
    });
  });

  it('what the release before wrote is read', async () => {
    const { resultBy: _, ...job } = aJob({ status: 'succeeded', attempt: 1, startedAt: 1, completedAt: 2 });
    const result = { output: { inline: 'b' }, logs: { inline: '' }, metrics: {}, attempt: 1 };
    await table.write([
      { op: 'put', item: jobItem(job) },
      { op: 'put', item: payloadItem(job, 'INPUT', { value: { inline: { text: 'a' } }, secrets: [] }) },
      { op: 'put', item: payloadItem(job, 'RESULT', result) },
    ]);

    expect(await jobs.record(job.id)).toMatchObject({ input: { text: 'a' }, result: { output: 'b' } });
  });
});
