import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { LaunchSpec } from '../../services/core/launch.ts';
import { makeGate, startInstance } from './instance.ts';
import { cogLines, scriptedModel } from './scripted-model.ts';

const within = { timeout: 10_000, interval: 5 };

describe.each(cogLines)('with Cog %s', (cogVersion) => {
  let plain: LaunchSpec;
  let iterator: LaunchSpec;

  beforeAll(async () => {
    plain = await scriptedModel({ cogVersion });
    iterator = await scriptedModel({ cogVersion, streams: true });
  });

  test('a quick prediction is told in one report', async () => {
    const { protocol } = await startInstance(plain);

    const job = protocol.submit({ script: 'say:hello print:printed say:world' });

    const { outcome, logs, acceptedAfterMs } = await job.ended;
    expect(outcome).toMatchObject({ status: 'succeeded', output: 'hello world' });
    expect(outcome.predictMs).toBeGreaterThan(0);
    expect(logs).toBe('printed\n');
    expect(acceptedAfterMs).toBeLessThan(1000);
    expect(job.reports).toEqual([1]);
  });

  test('a token is reported before the next one is made', async () => {
    const { protocol } = await startInstance(iterator, { streams: true });
    const gate = await makeGate();

    const job = protocol.submit({ script: 'say:a wait:1 say:b wait:2 say:c', gate: gate.path });
    await vi.waitFor(() => expect(job.shown()).toEqual(['a']), within);
    await gate.open('1');
    await vi.waitFor(() => expect(job.shown()).toEqual(['a', 'b']), within);
    await gate.open('2');

    expect((await job.ended).outcome).toMatchObject({ status: 'succeeded', output: ['a', 'b', 'c'] });
    expect(job.shown()).toEqual(['a', 'b', 'c']);
    expect(job.events.at(-1)?.type).toBe('ended');
  });

  test('no token is lost, doubled or out of order when many come at once', async () => {
    const { protocol } = await startInstance(iterator, { streams: true });
    const expected = Array.from({ length: 500 }, (_, i) => `${i} `);

    const job = protocol.submit({ script: 'many:500' });

    expect((await job.ended).outcome.output).toEqual(expected);
    expect(job.shown()).toEqual(expected);
    const indices = job.events.flatMap((event) => (event.type === 'output' ? [event.index] : []));
    expect(indices).toEqual(expected.map((_, i) => i));
  });

  test('what a model prints is seen while it has put out nothing yet', async () => {
    const { protocol } = await startInstance(plain);
    const gate = await makeGate();

    const job = protocol.submit({ script: 'print:loading wait:1 print:saving say:done', gate: gate.path });
    await vi.waitFor(() => expect(job.liveLogs()).toBe('loading\n'), within);
    await gate.open('1');

    const { outcome, logs } = await job.ended;
    expect(outcome.output).toBe('done');
    expect(logs).toBe('loading\nsaving\n');
    expect(job.liveLogs()).toBe('loading\nsaving\n');
  });

  test('a cancel reaches a running model within a second and keeps what it has shown', async () => {
    const { protocol, runner } = await startInstance(iterator, { streams: true });
    const gate = await makeGate();
    const job = protocol.submit({ script: 'print:begun say:a wait:never', gate: gate.path });
    await vi.waitFor(() => expect(job.shown()).toEqual(['a']), within);

    const canceledAt = Date.now();
    protocol.cancel(job.id);

    const { outcome, logs } = await job.ended;
    expect(Date.now() - canceledAt).toBeLessThan(1000);
    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'canceled' }, output: ['a'] });
    expect(logs).toContain('begun');
    expect(runner.broken).toBeNull();
    const next = protocol.submit({ script: 'say:next' });
    expect((await next.ended).outcome.output).toEqual(['next']);
  });

  test('a model that goes on after a cancel loses its process at the deadline', async () => {
    const { protocol, runner, process } = await startInstance(plain, { cancelGraceMs: 300 });
    const job = protocol.submit({ script: 'print:begun deaf' });
    await vi.waitFor(() => expect(job.liveLogs()).toContain('begun'), within);

    protocol.cancel(job.id);

    const { outcome } = await job.ended;
    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'canceled' } });
    expect(outcome.status === 'failed' && outcome.failure.message).toContain('was killed');
    expect(runner.broken).toContain('after it was canceled');
    expect((await process.exited).signal).toBe('SIGKILL');
  });

  test('an exception is told with its message, the logs and the output so far', async () => {
    const { protocol } = await startInstance(iterator, { streams: true });
    const gate = await makeGate();

    const job = protocol.submit({ script: 'print:before say:a wait:1 raise:too_bad', gate: gate.path });
    await vi.waitFor(() => expect(job.shown()).toEqual(['a']), within);
    await gate.open('1');

    const { outcome, logs } = await job.ended;
    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'model_error' }, output: ['a'] });
    expect(outcome.status === 'failed' && outcome.failure.message).toMatch(/^(ValueError: )?too_bad$/);
    expect(logs).toContain('before\n');
  });

  test('the logs of a run that fails at once are kept', async () => {
    const { protocol } = await startInstance(plain);
    // The first one is the slowest.
    await protocol.submit({}).ended;

    const job = protocol.submit({ script: 'print:just_before raise:at_once' });

    const { outcome, logs } = await job.ended;
    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'model_error' } });
    expect(logs).toContain('just_before\n');
  });

  test('an exception without a message still has one for people', async () => {
    const { protocol } = await startInstance(plain);

    const { outcome } = await protocol.submit({ script: 'raise:' }).ended;

    expect(outcome).toMatchObject({
      status: 'failed',
      failure: { code: 'model_error', message: 'ValueError' },
    });
  });

  test('a worker that dies in the middle is a crash with the output so far, and its server is given up', async () => {
    const { protocol, runner, process } = await startInstance(iterator, { streams: true });
    const gate = await makeGate();

    const job = protocol.submit({ script: 'print:before say:a wait:1 exit:3', gate: gate.path });
    await vi.waitFor(() => expect(job.shown()).toEqual(['a']), within);
    await gate.open('1');

    const { outcome, logs } = await job.ended;
    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'model_crashed' }, output: ['a'] });
    expect(logs).toContain('before');
    expect(runner.broken).not.toBeNull();
    await process.exited;
  });

  test('a server that is killed in the middle is a crash that names the signal', async () => {
    const { protocol, process } = await startInstance(iterator, { streams: true });
    const gate = await makeGate();
    const job = protocol.submit({ script: 'say:a wait:never', gate: gate.path });
    await vi.waitFor(() => expect(job.shown()).toEqual(['a']), within);

    void process.stop(0);

    const { outcome } = await job.ended;
    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'model_crashed' }, output: ['a'] });
    expect(outcome.status === 'failed' && outcome.failure.message).toContain('SIGKILL');
  });

  test('an input that the server refuses is rejected with the name of the field', async () => {
    const { protocol } = await startInstance(plain);

    const { outcome } = await protocol.submit({ script: 'x'.repeat(2000) }).ended;

    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'input_rejected' } });
    expect(outcome.status === 'failed' && outcome.failure.message).toContain('script');
  });

  test('an output that is too large is refused and the instance goes on', async () => {
    const { protocol, runner } = await startInstance(iterator, { streams: true, maxOutputBytes: 100_000 });

    const { outcome } = await protocol.submit({ script: 'say:a large:200000 wait:never' }).ended;

    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'output_too_large' }, output: ['a'] });
    expect(runner.broken).toBeNull();
    expect((await protocol.submit({ script: 'say:b' }).ended).outcome.output).toEqual(['b']);
  });

  test('what setup prints is kept', async () => {
    const { runner } = await startInstance(plain);

    await vi.waitFor(() => expect(runner.phase).toBe('ready'), within);

    await vi.waitFor(() => expect(runner.setupLogs).toContain('setting up'), within);
    expect(runner.setupLogs).not.toContain('[coglet');
    expect(runner.readyAt).not.toBeNull();
    expect(runner.setupSeconds).toBeGreaterThan(0);
  });

  test('a setup that raises is told by its exception, with what it printed', async () => {
    // coglet drops what is printed in the moment before setup fails.
    const setup =
      'print("looking for weights", flush=True); time.sleep(0.3); raise RuntimeError("there are no weights")';
    const { runner } = await startInstance(await scriptedModel({ cogVersion, setup }));

    await vi.waitFor(() => expect(runner.phase).toBe('failed'), within);

    expect(runner.failure?.code).toBe('setup_failed');
    // The older line leaves the type out.
    expect(runner.failure?.message).toMatch(/^(RuntimeError: )?there are no weights$/);
    expect(runner.setupLogs).toContain('looking for weights');
  });

  test('a setup that takes too long is told so', async () => {
    const setup = 'time.sleep(600)';
    const spec = await scriptedModel({ cogVersion, setup });
    const { runner } = await startInstance(spec, { setupTimeoutMs: 1000 });

    await vi.waitFor(() => expect(runner.phase).toBe('failed'), within);

    expect(runner.failure).toEqual({ code: 'setup_timed_out', message: 'Setup took longer than 1 s.' });
  });
});
