import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { LaunchSpec } from '../../services/core/launch.ts';
import { makeGate, startInstance } from './instance.ts';
import { scriptedModel } from './scripted-model.ts';

const within = { timeout: 10_000, interval: 5 };

describe('a runner and its control plane', () => {
  let plain: LaunchSpec;
  let iterator: LaunchSpec;
  let many: LaunchSpec;

  beforeAll(async () => {
    plain = await scriptedModel();
    iterator = await scriptedModel({ streams: true });
    many = await scriptedModel({ concurrency: 4 });
  });

  test('as many jobs run at once as the model takes, and no more', async () => {
    const { protocol, runner } = await startInstance(many, { concurrency: 4 });
    const gate = await makeGate();
    const jobs = Array.from({ length: 6 }, (_, i) =>
      protocol.submit({ script: `wait:go say:${i}`, gate: gate.path }),
    );

    await vi.waitFor(() => expect(runner.running).toBe(4), within);
    expect(jobs.filter((job) => job.leases() > 0)).toHaveLength(4);
    await gate.open('go');

    const outputs = await Promise.all(jobs.map(async (job) => (await job.ended).outcome.output));
    expect(outputs).toEqual(['0', '1', '2', '3', '4', '5']);
    await vi.waitFor(() => expect(runner.idleSince).not.toBeNull(), within);
    expect(runner.running).toBe(0);
  });

  test('canceling one of several jobs leaves the others alone', async () => {
    const { protocol } = await startInstance(many, { concurrency: 4 });
    const gate = await makeGate();
    const [first, second] = [0, 1].map((i) =>
      protocol.submit({ script: `wait:go say:${i}`, gate: gate.path }),
    );
    if (!first || !second) throw new Error('two jobs were submitted');
    await vi.waitFor(() => expect(first.leases() + second.leases()).toBe(2), within);

    protocol.cancel(first.id);

    expect((await first.ended).outcome).toMatchObject({ status: 'failed', failure: { code: 'canceled' } });
    await gate.open('go');
    expect((await second.ended).outcome).toMatchObject({ status: 'succeeded', output: '1' });
  });

  test('jobs that come one after the other never fail for want of a slot', async () => {
    const { protocol } = await startInstance(plain);

    const jobs = Array.from({ length: 300 }, (_, i) => protocol.submit({ script: `say:${i}` }));

    const ends = await Promise.all(jobs.map((job) => job.ended));
    expect(ends.map(({ outcome }) => outcome.output)).toEqual(jobs.map((_, i) => String(i)));
    expect(jobs.every((job) => job.reports.length === 1 && job.reports[0] === 1)).toBe(true);
  });

  test('a job leaves no folder of the server behind', async () => {
    const { protocol } = await startInstance(plain);
    const gate = await makeGate();
    const job = protocol.submit({ script: 'wait:go say:done', gate: gate.path });
    const folder = `/tmp/coglet/predictions/${job.id}`;
    await vi.waitFor(() => expect(existsSync(folder)).toBe(true), within);

    await gate.open('go');
    await job.ended;

    await vi.waitFor(() => expect(existsSync(folder)).toBe(false), within);
  });

  test('a result outlives an outage of the control plane', async () => {
    const { protocol, runner } = await startInstance(iterator, { streams: true });
    const gate = await makeGate();
    const job = protocol.submit({ script: 'say:a wait:go say:b', gate: gate.path });
    await vi.waitFor(() => expect(job.shown()).toEqual(['a']), within);

    protocol.outage = new Error('connect ECONNREFUSED');
    await gate.open('go');
    await vi.waitFor(() => expect(runner.running).toBe(0), within);
    expect(runner.idleSince).toBeNull();
    protocol.outage = undefined;

    expect((await job.ended).outcome).toMatchObject({ status: 'succeeded', output: ['a', 'b'] });
    expect(job.shown()).toEqual(['a', 'b']);
    expect((await protocol.submit({ script: 'say:c' }).ended).outcome.output).toEqual(['c']);
  });

  test('what comes while a report is under way goes with the next one, in order', async () => {
    const { protocol, runner } = await startInstance(iterator, { streams: true });
    const slow = Promise.withResolvers<void>();
    protocol.slowReports = slow.promise;
    const gate = await makeGate();

    const job = protocol.submit({ script: 'say:first wait:go many:50', gate: gate.path });
    await vi.waitFor(() => expect(job.leases()).toBe(1), within);
    await gate.open('go');
    await vi.waitFor(() => expect(job.leases() === 1 && runner.running === 0).toBe(true), within);
    slow.resolve();

    expect((await job.ended).outcome.output).toHaveLength(51);
    expect(job.shown()).toEqual(['first', ...Array.from({ length: 50 }, (_, i) => `${i} `)]);
    expect(job.reports.length).toBeLessThanOrEqual(3);
  });

  test('a job whose lease has moved on is stopped, and its result is dropped', async () => {
    const { protocol, runner } = await startInstance(iterator, { streams: true });
    const gate = await makeGate();
    const job = protocol.submit({ script: 'say:a wait:go say:b wait:never', gate: gate.path });
    await vi.waitFor(() => expect(job.shown()).toEqual(['a']), within);

    protocol.expire(job.id);
    await gate.open('go');

    await vi.waitFor(() => expect(runner.idleSince).not.toBeNull(), within);
    expect(job.shown()).toEqual(['a']);
    expect(job.events.some(({ type }) => type === 'ended')).toBe(false);
    expect((await protocol.submit({ script: 'say:next' }).ended).outcome.status).toBe('succeeded');
  });

  test('a cancel that came before anybody watched is found by the heartbeat', async () => {
    const { protocol } = await startInstance(plain);
    const gate = await makeGate();
    protocol.watch = async (_request, signal) => {
      await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
      return { stop: [] };
    };
    const job = protocol.submit({ script: 'wait:never', gate: gate.path });

    protocol.cancel(job.id);

    expect((await job.ended).outcome).toMatchObject({ failure: { code: 'canceled' } });
  });

  test('a drain lets a job end in time', async () => {
    const { protocol, runner } = await startInstance(plain);
    const gate = await makeGate();
    const job = protocol.submit({ script: 'wait:go say:done', gate: gate.path });
    await vi.waitFor(() => expect(runner.running).toBe(1), within);

    const drained = runner.drain({ graceMs: 30_000 });
    expect(runner.phase).toBe('draining');
    await gate.open('go');
    await drained;

    expect((await job.ended).outcome.output).toBe('done');
    expect(protocol.givenBack).toEqual([]);
  });

  test('a drain gives back what does not end in time, and leases nothing more', async () => {
    const { protocol, runner } = await startInstance(plain);
    const gate = await makeGate();
    const job = protocol.submit({ script: 'wait:never', gate: gate.path });
    await vi.waitFor(() => expect(runner.running).toBe(1), within);

    await runner.drain({ graceMs: 50 });

    expect(protocol.givenBack).toEqual([{ id: job.id, attempt: 1 }]);
    expect(job.events).toEqual([]);
    expect(job.leases()).toBe(1);
  });

  test('a second drain shortens the first', async () => {
    const { protocol, runner } = await startInstance(plain);
    const gate = await makeGate();
    const job = protocol.submit({ script: 'wait:never', gate: gate.path });
    await vi.waitFor(() => expect(runner.running).toBe(1), within);

    const patient = runner.drain({ graceMs: 600_000 });
    await runner.drain({ graceMs: 0 });
    await patient;

    expect(protocol.givenBack).toEqual([{ id: job.id, attempt: 1 }]);
  });

  test('a job that was leased in the moment of a drain is given back', async () => {
    const { protocol, runner } = await startInstance(plain);
    await vi.waitFor(() => expect(runner.phase).toBe('ready'), within);
    const job = protocol.submit({ script: 'say:a' });

    await runner.drain({ graceMs: 1000 });

    const hasEnded = job.events.some(({ type }) => type === 'ended');
    const isBack = protocol.givenBack.length === 1;
    expect(job.leases() === 0 || hasEnded || isBack).toBe(true);
  });
});
