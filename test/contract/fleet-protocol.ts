import { getEventListeners } from 'node:events';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FleetIdentity } from '../../services/api/dispatch.ts';
import type { PredictionBody } from '../../services/api/schemas.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import type {
  Assignment,
  FleetProtocol,
  InstanceReport,
  ReportedOutcome,
  RunnerEvent,
} from '../../services/ports/fleet-protocol/port.ts';
import { Sweeper } from '../../services/sweeper/app.ts';
import { openApi, type TestApi } from '../support/api.ts';

/** One way of speaking the fleet protocol to an api. */
export interface FleetBinding {
  as(identity: FleetIdentity): FleetProtocol;
  close(): Promise<void>;
}

const instance = 'instance-1';
const soon = { instance, waitSeconds: 0 };
const long = { instance, waitSeconds: 20 };
/** A long poll that has to be woken up is given this long; it would end by itself only much later. */
const wokenWithinMs = 5000;

const succeeded: ReportedOutcome = {
  status: 'succeeded',
  output: 'out',
  predictMs: 40,
  metrics: { steps: 3 },
};
const ended = { type: 'ended', outcome: succeeded, logs: 'all of it\n', acceptedAfterMs: 10 } as const;

/** What every binding of the fleet protocol keeps to. */
export function fleetProtocolContract(bind: (test: TestApi) => Promise<FleetBinding>): void {
  let test: TestApi;
  let binding: FleetBinding;
  let runner: FleetProtocol;
  let director: FleetProtocol;
  let pool: string;
  let otherPool: string;

  beforeEach(async () => {
    test = await openApi();
    binding = await bind(test);
    pool = await addPool('echo', 'a');
    otherPool = await addPool('other', 'b');
    runner = binding.as({ role: 'runner', pool });
    director = binding.as({ role: 'director' });
  });
  afterEach(async () => {
    await binding.close();
    await test.close();
  });

  async function addPool(name: string, digit: string): Promise<string> {
    const version = digit.repeat(64);
    await test.addModel({ name }, { id: version, streams: true });
    return sharedPoolId({ model: `local/${name}`, version, hardware: 'cpu' });
  }

  async function create(name = 'echo', text = 'hello'): Promise<PredictionBody> {
    const response = await test.call('POST', `/v1/models/local/${name}/predictions`, { input: { text } });
    expect(response.status).toBe(201);
    return (await response.json()) as PredictionBody;
  }

  async function read(id: string): Promise<PredictionBody> {
    return (await (await test.call('GET', `/v1/predictions/${id}`)).json()) as PredictionBody;
  }

  async function cancel(id: string): Promise<void> {
    expect((await test.call('POST', `/v1/predictions/${id}/cancel`)).status).toBe(200);
  }

  async function leased(from = runner): Promise<Assignment> {
    const assignment = await from.lease(soon);
    if (!assignment) throw new Error('no job was handed out');
    return assignment;
  }

  /** A running job: created and leased. */
  async function running(): Promise<Assignment> {
    await create();
    return await leased();
  }

  /** Its value, if it comes before a long poll would end by itself. */
  async function woken<T>(poll: Promise<T>): Promise<T> {
    const late = new Promise<never>((_, fail) => {
      setTimeout(() => fail(new Error('the long poll was not woken up')), wokenWithinMs).unref();
    });
    return await Promise.race([poll, late]);
  }

  /** Lets a long poll arrive at the api before what it waits for happens. */
  async function arrived(): Promise<void> {
    await new Promise((done) => setTimeout(done, 50));
  }

  describe('a file of an output', () => {
    it('goes where the control plane says, and is shown as a URL that reads it', async () => {
      const { id, attempt } = await running();
      const place = await runner.placeFile({ id, attempt, contentType: 'image/png' });
      const stored = await test.api.app.request(place.url, {
        method: 'PUT',
        headers: { 'content-type': 'image/png' },
        body: 'picture',
      });
      const files = [{ path: ['picture'], name: place.name }];
      const outcome = { ...succeeded, output: { picture: null, note: 'n' }, files };
      await runner.report({ id, attempt, events: [{ ...ended, outcome }] });

      expect(stored.status).toBe(200);
      const { output } = (await read(id)) as { output: { picture: string; note: string } };
      expect(output.note).toBe('n');
      expect(await (await test.api.app.request(output.picture)).text()).toBe('picture');
    });

    it('is shown in progress, too, and kept by a cancel', async () => {
      const { id, attempt } = await running();
      const { name } = await runner.placeFile({ id, attempt, contentType: 'image/png' });
      const chunk: RunnerEvent = { type: 'output', index: 0, chunk: null, files: [{ path: [], name }] };
      await runner.report({ id, attempt, events: [chunk] });

      expect((await read(id)).output).toEqual([expect.stringContaining(`/jobs/${id}/files/${name}?`)]);
      await cancel(id);
      expect((await read(id)).output).toEqual([expect.stringContaining(`/jobs/${id}/files/${name}?`)]);
    });

    it('stays with a canceled job whose runner could not bring the rest of its files', async () => {
      const { id, attempt } = await running();
      const { name } = await runner.placeFile({ id, attempt, contentType: 'image/png' });
      const chunk: RunnerEvent = { type: 'output', index: 0, chunk: null, files: [{ path: [], name }] };
      await runner.report({ id, attempt, events: [chunk] });
      await cancel(id);

      const message = 'job is not held under this attempt any more';
      const failed = { status: 'failed', failure: { code: 'platform_error', message } } as const;
      const outcome = { ...failed, output: null, predictMs: null, metrics: {} };
      await runner.report({ id, attempt, events: [{ ...ended, outcome, logs: 'stopped\n' }] });

      expect(await read(id)).toMatchObject({
        status: 'canceled',
        logs: 'stopped\n',
        output: [expect.stringContaining(`/jobs/${id}/files/${name}?`)],
      });
    });

    it('has no place for a job that is not held any more, or that another pool holds', async () => {
      const { id, attempt } = await running();
      const other = binding.as({ role: 'runner', pool: otherPool });
      const request = { id, attempt, contentType: 'image/png' };

      await expect(other.placeFile(request)).rejects.toMatchObject({ code: 'stale_attempt' });
      await expect(director.placeFile(request)).rejects.toMatchObject({ code: 'forbidden' });
      await cancel(id);
      await expect(runner.placeFile(request)).rejects.toMatchObject({ code: 'stale_attempt' });
    });
  });

  describe('lease', () => {
    it('hands out what a job needs to be run', async () => {
      const created = await create('echo', 'say it');

      const assignment = await runner.lease(soon);

      expect(assignment).toEqual({
        id: created.id,
        attempt: 1,
        kind: 'prediction',
        version: 'a'.repeat(64),
        input: { text: 'say it' },
        traceparent: null,
      });
      expect((await read(created.id)).status).toBe('processing');
    });

    it('has nothing where no job waits', async () => {
      expect(await runner.lease(soon)).toBeNull();
    });

    it('hands a job out once', async () => {
      await create();

      const leases = await Promise.all([
        runner.lease(soon),
        runner.lease({ ...soon, instance: 'instance-2' }),
      ]);

      expect(leases.filter((lease) => lease !== null)).toHaveLength(1);
    });

    it('hands jobs out in the order of their creation', async () => {
      const first = await create();
      const second = await create();

      expect([(await leased()).id, (await leased()).id]).toEqual([first.id, second.id]);
    });

    it('wakes up when a job comes', async () => {
      const waiting = runner.lease(long);
      await arrived();
      const created = await create();

      expect((await woken(waiting))?.id).toBe(created.id);
    });

    it('that is given up has nothing, and takes no job away from the next', async () => {
      const abort = new AbortController();
      const waiting = runner.lease(long, abort.signal);
      await arrived();
      abort.abort();
      expect(await woken(waiting)).toBeNull();
      await arrived();

      const created = await create();

      expect((await woken(runner.lease(long)))?.id).toBe(created.id);
    });

    it('that is given up while its job is leased puts the job back at once', async () => {
      const { id } = await create();
      const { jobs } = test.flow;
      const applyTo = jobs.applyTo.bind(jobs);
      const written = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      vi.spyOn(jobs, 'applyTo').mockImplementationOnce(async (...args) => {
        const decided = await applyTo(...args);
        written.resolve();
        await goOn.promise;
        return decided;
      });
      const abort = new AbortController();
      const waiting = runner.lease(long, abort.signal);
      await written.promise;
      abort.abort();
      await arrived();
      goOn.resolve();

      expect(await woken(waiting)).toBeNull();
      await expect.poll(async () => (await read(id)).status).toBe('starting');
      expect(await leased()).toMatchObject({ id, attempt: 2 });
    });

    it('goes on waiting when the clock is set back', async () => {
      const waiting = runner.lease(long);
      await arrived();
      test.clock.now -= 5000;
      await test.queue.send(pool, { jobId: 'gone', group: 'local' });
      const created = await create();

      expect((await woken(waiting))?.id).toBe(created.id);
    });

    it("passes over another pool's job, should a message of it get into the queue", async () => {
      const other = await create('other');
      await test.queue.send(pool, { jobId: other.id, group: 'local' });

      expect(await runner.lease(soon)).toBeNull();
      expect((await read(other.id)).status).toBe('starting');
    });

    it('passes over jobs that were canceled while they waited', async () => {
      const canceled = await create();
      await cancel(canceled.id);
      const next = await create();

      expect((await leased()).id).toBe(next.id);
      expect(await read(canceled.id)).toMatchObject({
        status: 'canceled',
        code: 'aborted',
        started_at: null,
        cost: { billed_seconds: 0, micro_usd: 0 },
      });
    });
  });

  describe('report', () => {
    it('shows output and logs while the job runs', async () => {
      const { id, attempt } = await running();

      await runner.report({
        id,
        attempt,
        events: [
          { type: 'logs', text: 'one\n' },
          { type: 'output', index: 0, chunk: 'a' },
          { type: 'logs', text: 'two\n' },
          { type: 'output', index: 1, chunk: { b: [1] } },
        ],
      });

      expect(await read(id)).toMatchObject({
        status: 'processing',
        output: ['a', { b: [1] }],
        logs: 'one\ntwo\n',
      });
    });

    it('that is sent again because its answer was lost shows each element once', async () => {
      const { id, attempt } = await running();
      const events = ['a', 'b'].map((chunk, index) => ({ type: 'output', index, chunk }) as const);

      await runner.report({ id, attempt, events });
      await runner.report({ id, attempt, events });

      expect((await read(id)).output).toEqual(['a', 'b']);
    });

    it('of an earlier attempt that is stored late does not replace the result', async () => {
      const first = await running();
      const { jobs } = test.flow;
      const checkpoint = jobs.checkpoint.bind(jobs);
      const stored = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      vi.spyOn(jobs, 'checkpoint').mockImplementationOnce(async (...args) => {
        stored.resolve();
        await goOn.promise;
        await checkpoint(...args);
      });
      test.clock.now += 10_000;
      const late = runner.report({ ...ref(first), events: [{ type: 'logs', text: 'of the first\n' }] });
      await stored.promise;
      await runner.giveBack(ref(first));
      await runner.report({ ...ref(await leased()), events: [ended] });

      goOn.resolve();
      await late;

      expect(await read(first.id)).toMatchObject({ status: 'succeeded', output: 'out', logs: 'all of it\n' });
    });

    it('ends the job with its output, logs, metrics and price', async () => {
      const { id, attempt } = await running();
      test.clock.now += 100;

      await runner.report({ id, attempt, events: [ended] });

      expect(await read(id)).toMatchObject({
        status: 'succeeded',
        output: 'out',
        logs: 'all of it\n',
        metrics: { steps: 3, predict_time: 0.04 },
        cost: { sku: 'cpu', micro_usd_per_second: 100, billed_seconds: 0.04, micro_usd: 4 },
      });
    });

    it('bills no more than the time between acceptance and end, whatever the model claims', async () => {
      const { id, attempt } = await running();
      test.clock.now += 100;
      const claims = { ...succeeded, predictMs: 3_600_000 };

      await runner.report({ id, attempt, events: [{ ...ended, outcome: claims, acceptedAfterMs: 30 }] });

      expect((await read(id)).cost.billed_seconds).toBe(0.07);
    });

    it('of an end that is sent again is refused and changes nothing', async () => {
      const { id, attempt } = await running();
      await runner.report({ id, attempt, events: [ended] });
      const before = await read(id);

      const again = runner.report({ id, attempt, events: [{ ...ended, logs: 'other' }] });

      await expect(again).rejects.toMatchObject({ code: 'stale_attempt' });
      expect(await read(id)).toEqual(before);
    });

    it('of an earlier attempt is refused and changes nothing', async () => {
      const first = await running();
      await test.flow.apply(first.id, {
        type: 'lease_lost',
        at: test.clock.now,
        attempt: first.attempt,
        outputShown: false,
      });
      const second = await leased();
      const before = await read(first.id);

      const events = [{ type: 'output', index: 0, chunk: 'late' }] as const;
      const late = runner.report({ ...ref(first), events: [...events] });
      await expect(late).rejects.toMatchObject({ code: 'stale_attempt' });
      const end = runner.report({ ...ref(first), events: [ended] });
      await expect(end).rejects.toMatchObject({ code: 'stale_attempt' });

      expect(second).toMatchObject({ id: first.id, attempt: 2 });
      expect(await read(first.id)).toEqual(before);
    });

    it('after a cancel keeps the last words and leaves status and price alone', async () => {
      const { id, attempt } = await running();
      test.clock.now += 500;
      await cancel(id);
      const atCancel = await read(id);
      test.clock.now += 500;

      await runner.report({
        id,
        attempt,
        events: [{ ...ended, outcome: { ...succeeded, output: ['so far'] }, logs: 'stopping\n' }],
      });

      const after = await read(id);
      expect(after).toMatchObject({ status: 'canceled', output: ['so far'], logs: 'stopping\n' });
      expect(after.cost).toEqual(atCancel.cost);
      expect(after.completed_at).toBe(atCancel.completed_at);
      expect(after.cost.billed_seconds).toBe(0.5);
    });
  });

  describe('heartbeat', () => {
    it('keeps the lease', async () => {
      const job = await running();
      const sweeper = new Sweeper({ ...test, now: () => test.clock.now, logger: pino({ level: 'silent' }) });
      const status = async (laterMs: number) => {
        test.clock.now += laterMs;
        await sweeper.repair();
        return (await read(job.id)).status;
      };

      expect(await status(50_000)).toBe('processing');
      expect(await runner.heartbeat({ instance, jobs: [ref(job)] })).toEqual({ stop: [] });
      expect(await status(50_000)).toBe('processing');
      expect(await status(20_000)).toBe('starting');
    });

    it('names the jobs that are not held any more', async () => {
      const canceled = await running();
      const running2 = await running();
      await cancel(canceled.id);
      const unknown = { id: 'z'.repeat(26), attempt: 1 };

      const answer = await runner.heartbeat({ instance, jobs: [ref(canceled), ref(running2), unknown] });

      expect(answer).toEqual({ stop: [ref(canceled), unknown] });
    });
  });

  describe('watch', () => {
    it('wakes up when a job of the instance is canceled', async () => {
      const job = await running();
      const watching = runner.watch(long);
      await arrived();
      await cancel(job.id);

      expect(await woken(watching)).toEqual({ stop: [ref(job)] });
    });

    it('tells a cancel that came between two watches, once', async () => {
      const job = await running();
      await cancel(job.id);

      expect(await woken(runner.watch(long))).toEqual({ stop: [ref(job)] });
      expect(await runner.watch(soon)).toEqual({ stop: [] });
    });

    it('hears nothing of other instances', async () => {
      const job = await running();
      await cancel(job.id);

      expect(await runner.watch({ ...soon, instance: 'instance-2' })).toEqual({ stop: [] });
    });

    it('that is given up has nothing', async () => {
      const abort = new AbortController();
      const watching = runner.watch(long, abort.signal);
      await arrived();
      abort.abort();

      expect(await woken(watching)).toEqual({ stop: [] });
    });
  });

  describe('drain', () => {
    const order = () => ({ pool, instance, graceSeconds: 30 });
    const told = { stop: [], drain: { graceSeconds: 30 } };

    it('wakes the instance up that is to end', async () => {
      const watching = runner.watch(long);
      await arrived();
      await director.drain(order());

      expect(await woken(watching)).toEqual(told);
    });

    it('that came between two watches is told, once', async () => {
      await director.drain(order());

      expect(await woken(runner.watch(long))).toEqual(told);
      expect(await runner.watch(soon)).toEqual({ stop: [] });
    });

    it('that was lost can be repeated', async () => {
      await director.drain(order());
      expect(await woken(runner.watch(long))).toEqual(told);

      await director.drain({ ...order(), graceSeconds: 5 });
      expect(await woken(runner.watch(long))).toEqual({ stop: [], drain: { graceSeconds: 5 } });
    });

    it('comes along with cancels', async () => {
      const job = await running();
      await cancel(job.id);
      await director.drain(order());

      expect(await woken(runner.watch(long))).toEqual({ ...told, stop: [ref(job)] });
    });

    it("reaches no other instance, and not another pool's of the same name", async () => {
      await director.drain(order());
      const stranger = binding.as({ role: 'runner', pool: otherPool });

      expect(await stranger.watch(soon)).toEqual({ stop: [] });
      expect(await runner.watch({ ...soon, instance: 'instance-2' })).toEqual({ stop: [] });
      expect(await runner.watch(soon)).toEqual(told);
    });
  });

  describe('a report of an instance', () => {
    const aReport = (over: Partial<InstanceReport> = {}): InstanceReport => ({
      instance,
      phase: 'setup',
      readyAt: null,
      running: 0,
      idleSince: null,
      failure: null,
      broken: null,
      setupLogs: '',
      ...over,
    });
    /** As whoever is in the pod that it is about. */
    const reportInstance = async (report: InstanceReport, of = pool) =>
      binding.as({ role: 'runner', pool: of, pod: report.instance }).reportInstance(report);
    const reportsAfter = async (after: number) =>
      (await director.demand({ waitSeconds: 0, reportsAfter: after })).reports;

    it('reaches the director, with its pool and when it came', async () => {
      const report = aReport({ phase: 'ready', readyAt: 7, running: 1, broken: 'It died.', setupLogs: 'l' });
      await reportInstance(report);

      expect(await reportsAfter(0)).toMatchObject([{ ...report, pool, receivedAt: test.clock.now }]);
    });

    it('is taken of the pod alone that it is about', async () => {
      const inAnother = binding.as({ role: 'runner', pool, pod: 'instance-2' });
      for (const other of [runner, inAnother])
        await expect(other.reportInstance(aReport())).rejects.toMatchObject({ code: 'forbidden' });

      expect(await reportsAfter(0)).toEqual([]);
    });

    it('wakes the director up', async () => {
      await director.demand({ waitSeconds: 0 });
      const waiting = director.demand({ waitSeconds: 20, reportsAfter: 0 });
      await arrived();
      await reportInstance(aReport());

      expect((await woken(waiting)).reports).toMatchObject([{ instance, phase: 'setup' }]);
    });

    it('takes the place of the one before', async () => {
      await reportInstance(aReport());
      test.clock.now += 1000;
      const failure = { code: 'setup_failed', message: 'It raised.' } as const;
      await reportInstance(aReport({ phase: 'failed', failure }));

      expect(await reportsAfter(0)).toMatchObject([{ phase: 'failed', failure }]);
    });

    it('is told of since a moment, and only where reports are asked for', async () => {
      const first = test.clock.now;
      await reportInstance(aReport());
      test.clock.now += 1000;
      await reportInstance(aReport({ instance: 'instance-2' }));
      const named = async (after: number) => (await reportsAfter(after))?.map((one) => one.instance).sort();

      expect(await named(first)).toEqual([instance, 'instance-2']);
      expect(await named(first + 1)).toEqual(['instance-2']);
      expect(await named(first + 1001)).toEqual([]);
      expect((await director.demand({ waitSeconds: 0 })).reports).toBeUndefined();
    });

    it("is its own pool's, whatever it names: another's instance of that name is left alone", async () => {
      await reportInstance(aReport({ phase: 'ready' }));
      await reportInstance(aReport({ phase: 'drained' }), otherPool);

      const byPool = new Map((await reportsAfter(0))?.map((one) => [one.pool, one.phase]));
      expect(byPool).toEqual(
        new Map([
          [pool, 'ready'],
          [otherPool, 'drained'],
        ]),
      );
    });
  });

  describe('give back', () => {
    it('lets the job wait again, for another attempt', async () => {
      const job = await running();

      await runner.giveBack(ref(job));

      expect((await read(job.id)).status).toBe('starting');
      expect(await leased()).toMatchObject({ id: job.id, attempt: 2 });
    });

    it('does not run again what a reader has seen', async () => {
      const job = await running();
      await runner.report({ ...ref(job), events: [{ type: 'output', index: 0, chunk: 'seen' }] });

      await runner.giveBack(ref(job));

      expect(await read(job.id)).toMatchObject({
        status: 'failed',
        code: 'instance_lost',
        retryable: true,
        cost: { micro_usd: 0 },
      });
    });

    it('of a job that is not held any more leaves it alone', async () => {
      const job = await running();
      await runner.report({ ...ref(job), events: [ended] });

      await runner.giveBack(ref(job));

      expect((await read(job.id)).status).toBe('succeeded');
    });
  });

  describe('a runner of another pool', () => {
    it('can neither see, hold, end nor give back a job', async () => {
      const job = await running();
      const stranger = binding.as({ role: 'runner', pool: otherPool });

      expect(await stranger.lease(soon)).toBeNull();
      expect(await stranger.heartbeat({ instance, jobs: [ref(job)] })).toEqual({ stop: [ref(job)] });
      for (const event of [
        ended,
        { type: 'output', index: 0, chunk: 'x' },
        { type: 'logs', text: 'x' },
      ] as const) {
        const report = stranger.report({ ...ref(job), events: [event] });
        await expect(report).rejects.toMatchObject({ code: 'stale_attempt' });
      }
      await stranger.giveBack(ref(job));

      expect(await read(job.id)).toMatchObject({ status: 'processing', output: null, logs: '' });
      await runner.report({ ...ref(job), events: [ended] });
    });

    it('hears no cancel, even of an instance of the same name', async () => {
      const job = await running();
      await cancel(job.id);

      const stranger = binding.as({ role: 'runner', pool: otherPool });
      expect(await stranger.watch(soon)).toEqual({ stop: [] });
    });

    it('leaves the words of a canceled job alone', async () => {
      const job = await running();
      await cancel(job.id);

      const stranger = binding.as({ role: 'runner', pool: otherPool });
      const report = stranger.report({ ...ref(job), events: [{ ...ended, logs: 'forged' }] });

      await expect(report).rejects.toMatchObject({ code: 'stale_attempt' });
      expect((await read(job.id)).logs).toBe('');
    });
  });

  describe('demand', () => {
    it('counts what waits and what runs in each pool', async () => {
      await running();
      const oldest = await create();
      await create();
      await create('other');

      const { pools } = await director.demand({ waitSeconds: 0 });

      const byId = new Map(pools.map((demand) => [demand.pool.id, demand]));
      expect([...byId.keys()].sort()).toEqual([pool, otherPool].sort());
      expect(byId.get(pool)).toMatchObject({
        pool: { model: 'local/echo', hardware: 'cpu', concurrency: 1 },
        queued: 2,
        running: 1,
        oldestQueuedAt: Date.parse(oldest.created_at),
      });
      expect(byId.get(otherPool)).toMatchObject({ queued: 1, running: 0 });
    });

    it('wakes up when a job comes, and when one ends', async () => {
      await director.demand({ waitSeconds: 0 });
      const waiting = director.demand({ waitSeconds: 20 });
      await arrived();
      await create();
      expect((await woken(waiting)).pools).toMatchObject([{ queued: 1 }]);

      const job = await leased();
      await director.demand({ waitSeconds: 0 });
      const again = director.demand({ waitSeconds: 20 });
      await arrived();
      await runner.report({ ...ref(job), events: [ended] });
      expect((await woken(again)).pools).toMatchObject([{ queued: 0, running: 0 }]);
    });

    it('tells a change that came between two calls at once', async () => {
      await director.demand({ waitSeconds: 0 });
      await create();

      expect((await woken(director.demand({ waitSeconds: 20 }))).pools).toMatchObject([{ queued: 1 }]);
    });
  });

  it('a long poll leaves nothing behind on a signal that lives on', async () => {
    const { signal } = new AbortController();
    await director.demand({ waitSeconds: 0 });

    for (let polls = 0; polls < 3; polls += 1) {
      await director.demand({ waitSeconds: 0.001 }, signal);
      await runner.watch({ instance, waitSeconds: 0.001 }, signal);
      await runner.lease({ instance, waitSeconds: 0.001 }, signal);
    }

    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it("a pool's state explains what its jobs wait for", async () => {
    const created = await create();
    const at = test.clock.now;
    const booting = {
      id: instance,
      pool,
      phase: 'setup',
      startedAt: at - 1000,
      readyAt: null,
      running: 0,
      idleSince: null,
      failure: null,
      setupLogs: '',
      detail: 'Its weights are being fetched.',
    } as const;

    await director.reportPool({
      pool,
      at,
      desired: 1,
      reason: 'one job waits',
      instances: [booting],
      breaker: null,
      setupSeconds: [3, 3, 3],
    });

    expect((await read(created.id)).waiting).toEqual({
      phase: 'setup',
      position: 1,
      eta_seconds: { p50: 2, p90: 2 },
      reason: booting.detail,
    });
  });

  it('refuse ends the waiting jobs of one pool, and no other', async () => {
    const runs = await running();
    const waiting = await create();
    const other = await create('other');

    const failure = { code: 'setup_failed', message: 'setup() raised' } as const;
    await director.refuse({ pool, failure, logs: 'Traceback\n' });

    expect(await read(waiting.id)).toMatchObject({
      status: 'failed',
      error: 'setup() raised',
      code: 'setup_failed',
      logs: 'Traceback\n',
      cost: { billed_seconds: 0, micro_usd: 0 },
    });
    expect((await read(runs.id)).status).toBe('processing');
    expect((await read(other.id)).status).toBe('starting');
  });

  it('a role may make its own calls only', async () => {
    const job = await running();
    const state = {
      pool,
      at: 1,
      desired: 0,
      reason: '',
      instances: [],
      breaker: null,
      setupSeconds: [],
    };
    const failure = { code: 'setup_failed', message: 'x' } as const;
    const calls = [
      runner.demand({ waitSeconds: 0 }),
      runner.reportPool(state),
      runner.refuse({ pool, failure, logs: '' }),
      runner.drain({ pool, instance, graceSeconds: 0 }),
      director.lease(soon),
      director.watch(soon),
      director.heartbeat({ instance, jobs: [ref(job)] }),
      director.report({ ...ref(job), events: [ended] }),
      director.giveBack(ref(job)),
      director.reportInstance({
        instance,
        phase: 'drained',
        readyAt: null,
        running: 0,
        idleSince: null,
        failure: null,
        broken: null,
        setupLogs: '',
      }),
    ];

    for (const settled of await Promise.allSettled(calls)) {
      expect(settled).toMatchObject({ status: 'rejected', reason: { code: 'forbidden' } });
    }
    expect((await read(job.id)).status).toBe('processing');
    expect(await runner.watch(soon)).toEqual({ stop: [] });
    expect((await director.demand({ waitSeconds: 0, reportsAfter: 0 })).reports).toEqual([]);
  });
}

function ref({ id, attempt }: Assignment) {
  return { id, attempt };
}
