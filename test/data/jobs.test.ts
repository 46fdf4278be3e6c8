import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Jobs, type Result } from '../../services/data/jobs.ts';
import { openFilesystemObjects } from '../../services/ports/objects/filesystem.ts';
import type { Objects } from '../../services/ports/objects/port.ts';
import type { Table } from '../../services/ports/table/port.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';
import { aJob } from '../support/jobs.ts';

let folder: string;
let table: Table;
let objects: Objects;
let jobs: Jobs;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mimeo-jobs-'));
  table = openSqliteTable({ path: join(folder, 'table.db') });
  objects = openFilesystemObjects({
    root: join(folder, 'objects'),
    baseUrl: () => 'http://127.0.0.1:1',
    signingKey: Buffer.alloc(32).toString('base64'),
  });
  jobs = new Jobs(table, objects);
});
afterEach(async () => {
  await table.close();
  await rm(folder, { recursive: true });
});

/** A result that is too large for the Table. */
function large(letter: string): Result {
  return { output: letter.repeat(20_000), logs: '', metrics: {}, attempt: 1 };
}

it('a cancel that comes too late does not touch the output of the job that has ended', async () => {
  const running = aJob({ status: 'processing', startedAt: 1, attempt: 1 });
  await jobs.create(running, {}, { traceparent: null, secrets: [] });
  const put = objects.put.bind(objects);
  const goOn = Promise.withResolvers<void>();
  vi.spyOn(objects, 'put').mockImplementationOnce(async (...args) => {
    await goOn.promise;
    return await put(...args);
  });

  const cancel = jobs.applyTo(running, { type: 'cancel', at: 2, reason: 'canceled' }, large('c'));
  const outcome = { status: 'succeeded', predictMs: 1 } as const;
  const end = { type: 'ended', at: 2, attempt: 1, outcome, outputShown: false, acceptedAfterMs: 0 } as const;
  expect(await jobs.applyTo(running, end, large('e'))).toMatchObject({ kind: 'write' });
  goOn.resolve();

  expect(await cancel).toBeUndefined();
  expect(await jobs.record(running.id)).toMatchObject({
    job: { status: 'succeeded' },
    result: { output: large('e').output },
  });
  const place = `${running.account}/jobs/${running.id}/1-cancel-output.json`;
  expect(objects.put).toHaveBeenCalledWith(place, expect.anything(), expect.anything());
  expect(await objects.head(place)).toBeUndefined();
});

it('of two requests with one idempotency key the one that loses does not touch the input of the other', async () => {
  const winner = aJob({ requestDigest: 'a'.repeat(64) });
  const loser = { ...winner, requestDigest: 'b'.repeat(64) };
  const options = { traceparent: null, secrets: [] };
  await jobs.create(winner, { text: 'w'.repeat(20_000) }, options);

  await expect(jobs.create(loser, { text: 'l'.repeat(20_000) }, options)).rejects.toThrow('Condition failed');
  await expect(jobs.create(winner, { text: 'w'.repeat(20_000) }, options)).rejects.toThrow(
    'Condition failed',
  );

  expect((await jobs.record(winner.id))?.input).toEqual({ text: 'w'.repeat(20_000) });
  const place = `${winner.account}/jobs/${winner.id}/input-${loser.requestDigest}.json`;
  expect(await objects.head(place)).toBeUndefined();
});

it('what a webhook heard of while it ran is removed with the rest', async () => {
  const running = aJob({ status: 'processing', startedAt: 1, attempt: 1, webhookEvents: ['output'] });
  await jobs.create(running, {}, { traceparent: null, secrets: [] });
  await jobs.checkpoint(running, large('c'), 'output');
  const outcome = { status: 'succeeded', predictMs: 1 } as const;
  const end = {
    type: 'ended',
    at: 2000,
    attempt: 1,
    outcome,
    outputShown: false,
    acceptedAfterMs: 0,
  } as const;
  const ended = await jobs.applyTo(running, end, large('e'));
  const places = ['processing', 'ended'].map(
    (writer) => `${running.account}/jobs/${running.id}/1-${writer}-output.json`,
  );
  for (const place of places) expect(await objects.head(place)).toBeDefined();

  if (ended?.kind === 'write') await jobs.retention.removeData([ended.job]);

  for (const place of places) expect(await objects.head(place)).toBeUndefined();
});
