import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ProblemError } from '../../services/core/errors.ts';
import type { InstanceReport } from '../../services/ports/fleet-protocol/port.ts';
import type { Runner } from '../../services/runner/app.ts';
import { InstanceReporter } from '../../services/runner/instance-reports.ts';
import { makeGate, startInstance, type TestInstance } from './instance.ts';
import { scriptedModel } from './scripted-model.ts';

const within = { timeout: 10_000, interval: 5 };

describe('reports of a real instance', () => {
  function reporting({ runner, protocol }: TestInstance): InstanceReporter {
    const reporter = new InstanceReporter({ protocol, instanceId: 'instance-1', runner });
    onTestFinished(() => reporter.close());
    return reporter;
  }
  const phases = ({ protocol }: TestInstance) => protocol.instanceReports.map(({ phase }) => phase);

  test('tell of setup, of being ready, of work, and of its end by an order', async () => {
    const instance = await startInstance(await scriptedModel(), { takesOrders: true });
    const { protocol, runner } = instance;
    reporting(instance);
    expect(protocol.instanceReports).toEqual([
      {
        instance: 'instance-1',
        phase: 'setup',
        readyAt: null,
        running: 0,
        idleSince: null,
        failure: null,
        broken: null,
        setupLogs: '',
      },
    ]);
    await vi.waitFor(() => expect(phases(instance)).toEqual(['setup', 'ready']), within);
    expect(protocol.instanceReports.at(-1)).toMatchObject({
      readyAt: runner.readyAt,
      idleSince: runner.readyAt,
    });

    const gate = await makeGate();
    const job = protocol.submit({ script: 'wait:go say:done', gate: gate.path });
    const busy = { phase: 'ready', running: 1, idleSince: null };
    await vi.waitFor(() => expect(protocol.instanceReports.at(-1)).toMatchObject(busy), within);

    protocol.order({ graceSeconds: 30 });
    await vi.waitFor(() => expect(phases(instance).at(-1)).toBe('draining'), within);
    await gate.open('go');
    expect((await job.ended).outcome).toMatchObject({ status: 'succeeded', output: 'done' });
    await vi.waitFor(() => expect(phases(instance).at(-1)).toBe('drained'), within);
    expect(protocol.instanceReports.at(-1)).toMatchObject({ running: 0, idleSince: null, broken: null });
    expect(protocol.givenBack).toEqual([]);
  });

  test('an order whose time is over gives back what runs', async () => {
    const instance = await startInstance(await scriptedModel(), { takesOrders: true });
    const { protocol, runner } = instance;
    reporting(instance);
    const gate = await makeGate();
    const job = protocol.submit({ script: 'wait:never', gate: gate.path });
    await vi.waitFor(() => expect(runner.running).toBe(1), within);

    protocol.order({ graceSeconds: 0.1 });

    await vi.waitFor(() => expect(phases(instance).at(-1)).toBe('drained'), within);
    expect(protocol.givenBack).toEqual([{ id: job.id, attempt: 1 }]);
  });

  test('an order reaches an instance that boots, and one that is not wanted to take orders asks for none', async () => {
    const endless = await scriptedModel({ setup: 'import time; time.sleep(3600)' });
    const booting = await startInstance(endless, { takesOrders: true });
    reporting(booting);
    booting.protocol.order({ graceSeconds: 5 });
    await vi.waitFor(() => expect(phases(booting).at(-1)).toBe('drained'), within);
    expect(phases(booting)[0]).toBe('setup');

    const other = await startInstance(await scriptedModel());
    const watch = vi.spyOn(other.protocol, 'watch');
    await vi.waitFor(() => expect(other.runner.phase).toBe('ready'), within);
    expect(watch).not.toHaveBeenCalled();
  });

  test('tell why setup failed', async () => {
    const instance = await startInstance(await scriptedModel({ setup: 'raise ValueError("no weights")' }));
    reporting(instance);

    await vi.waitFor(() => expect(phases(instance).at(-1)).toBe('failed'), within);
    expect(instance.protocol.instanceReports.at(-1)).toMatchObject({
      failure: { code: 'setup_failed' },
      setupLogs: expect.stringContaining('no weights'),
    });
  });

  test('tell that a server has died', async () => {
    const instance = await startInstance(await scriptedModel());
    reporting(instance);
    await vi.waitFor(() => expect(phases(instance)).toEqual(['setup', 'ready']), within);

    await instance.process.stop(0);

    const broken = { phase: 'ready', broken: expect.any(String) };
    await vi.waitFor(() => expect(instance.protocol.instanceReports.at(-1)).toMatchObject(broken), within);
  });

  test('outlive an outage, and tell what is so after it', async () => {
    const instance = await startInstance(await scriptedModel());
    const { protocol, runner } = instance;
    protocol.outage = new Error('connect ECONNREFUSED');
    const problems: unknown[] = [];
    const reporter = new InstanceReporter({
      protocol,
      instanceId: 'instance-1',
      runner,
      onProblem: (error) => problems.push(error),
    });
    onTestFinished(() => reporter.close());
    await vi.waitFor(() => expect(runner.phase).toBe('ready'), within);

    protocol.outage = undefined;

    await reporter.settled();
    expect(phases(instance)).toEqual(['ready']);
    expect(problems).toHaveLength(1);
  });
});

describe('reports by the clock', () => {
  let runner: { -readonly [name in keyof Runner]: Runner[name] };
  let tell: () => void;
  let reports: InstanceReport[];
  let answer: () => Promise<void>;
  let reporter: InstanceReporter;
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
    const listeners = new Set<() => void>();
    tell = () => {
      for (const listener of listeners) listener();
    };
    runner = {
      phase: 'ready',
      failure: null,
      setupLogs: '',
      readyAt: Date.now(),
      setupSeconds: 1,
      running: 0,
      idleSince: Date.now(),
      broken: null,
      isDrained: false,
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      cogExited: () => undefined,
      drain: async () => undefined,
    };
    reports = [];
    answer = async () => undefined;
    const protocol = {
      reportInstance: async (report: InstanceReport) => {
        reports.push(report);
        await answer();
      },
    };
    reporter = new InstanceReporter({ protocol, instanceId: 'i', runner });
  });
  afterEach(() => {
    reporter.close();
    vi.useRealTimers();
  });

  const begin = () => {
    runner.running = 1;
    runner.idleSince = null;
    tell();
  };
  const end = () => {
    runner.running = 0;
    runner.idleSince = Date.now();
    tell();
  };
  const pass = async (ms: number) => vi.advanceTimersByTimeAsync(ms);

  test('work is told at once after idleness that was told, and idleness once it has lasted', async () => {
    await pass(4999);
    expect(reports).toHaveLength(1);
    await pass(5001);
    begin();
    expect(reports.map(({ idleSince }) => idleSince)).toEqual([1_000_000, 1_000_000, null]);
    await pass(1000);
    end();

    await pass(4999);
    expect(reports).toHaveLength(3);
    await pass(1);
    expect(reports.at(-1)).toMatchObject({ running: 0, idleSince: 1_011_000 });
    expect(reports).toHaveLength(4);
  });

  test('a job after the other is not told of', async () => {
    await pass(0);
    begin();
    for (let jobs = 0; jobs < 50; jobs += 1) {
      await pass(100);
      end();
      await pass(4000);
      begin();
    }

    expect(reports).toHaveLength(2);
  });

  test('a job that came and went between two looks makes the idleness begin anew', async () => {
    await pass(50_000);
    end();

    expect(reports.map(({ idleSince }) => idleSince)).toEqual([1_000_000, 1_000_000, 1_050_000]);
    await pass(5000);
    expect(reports).toHaveLength(4);
  });

  test('what setup prints is told every 15 s, the end of it', async () => {
    runner.phase = 'setup';
    runner.idleSince = null;
    tell();
    for (let at = 0; at < 300; at += 1) {
      runner.setupLogs += `${at} `.repeat(100);
      tell();
      await pass(100);
    }

    expect(reports.map(({ phase }) => phase)).toEqual(['ready', 'setup', 'setup', 'setup']);
    expect(reports.at(-1)?.setupLogs).toHaveLength(16_000);
    runner.setupLogs += 'the end';
    tell();
    await pass(15_000);
    expect(reports.at(-1)?.setupLogs).toMatch(/the end$/);
  });

  test('what stays as it is is told again every ten minutes', async () => {
    await pass(5000);
    expect(reports).toHaveLength(2);
    await pass(1_800_000);

    expect(reports).toHaveLength(5);
  });

  test('what changes while a report is under way goes with the next, however much it is', async () => {
    const slow = Promise.withResolvers<void>();
    await pass(0);
    answer = async () => slow.promise;
    begin();
    runner.phase = 'draining';
    tell();
    runner.isDrained = true;
    runner.running = 0;
    tell();
    expect(reports.map(({ phase }) => phase)).toEqual(['ready', 'ready']);

    slow.resolve();
    await reporter.settled();
    expect(reports.map(({ phase }) => phase)).toEqual(['ready', 'ready', 'drained']);
  });

  test('an api of the release before takes none, and is asked again when it may be of this one', async () => {
    answer = async () => Promise.reject(new ProblemError('not_found', 'There is no such call.'));
    begin();
    await pass(0);
    await reporter.settled();
    const before = reports.length;
    await pass(599_000);
    expect(reports).toHaveLength(before);

    answer = async () => {};
    await pass(1000);
    expect(reports).toHaveLength(before + 1);
  });
});
