import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import type { PredictionBody } from '../../services/api/schemas.ts';
import { newJobId } from '../../services/core/ids.ts';
import type { Instance } from '../../services/core/pool.ts';
import { defaultPolicy } from '../../services/core/scaling.ts';
import { Deliveries, type Delivery, deliveryId } from '../../services/data/deliveries.ts';
import { jobKey } from '../../services/data/job-items.ts';
import { startDirector } from '../../services/director/app.ts';
import { createMetering } from '../../services/metering/app.ts';
import type { Fleet } from '../../services/ports/fleet/port.ts';
import { type Assignment, heartbeatSeconds } from '../../services/ports/fleet-protocol/port.ts';
import { Sweeper } from '../../services/sweeper/app.ts';
import type { Tallies } from './count-requests.ts';
import { type CountedPlatform, retentionSeconds } from './platform.ts';

/** Ends that one call of a Lambda function, or one look of the sweeper, takes up: a minute's, at a million a month. */
export const endsInABatch = 25;
/** Far enough apart that what one has read is no longer fresh for the next, as at a million a month. */
const spacingMs = 1100;
const instance = 'instance-of-the-bench';
/** 1,000 characters in, and as many out: prose, as prompts and answers are. */
const kilobyte = readFileSync(join(import.meta.dirname, '../../docs/architecture.md'), 'utf8').slice(
  3000,
  4000,
);

/** What a number of predictions asked AWS for, one stage after the other. */
export interface LifeTallies {
  readonly predictions: number;
  /** From the request to its answer. */
  readonly run: Tallies;
  /** Of `endsInABatch` predictions. */
  readonly metering: Tallies;
  /** Of one look of the sweeper, long enough afterwards for it to find all of them. */
  readonly retention: Tallies;
}

/** What a runner does with a job between its lease and its end. @returns the files that it stored */
type Work = (job: Assignment) => Promise<{ readonly name: string }[] | undefined>;

/** Runs predictions of 1 KB in and out, each with `Prefer: wait`, up to and with the end of what is kept of them. */
export async function liveThrough(
  platform: CountedPlatform,
  predictions: number,
  work: Work,
): Promise<LifeTallies> {
  const { count, back } = platform;
  // What is written or read once a minute at most.
  await Promise.all([create(platform), runNext(platform, busyFor(0))]);
  await pause(spacingMs);
  count.take();
  const ids = await Promise.all(
    Array.from({ length: predictions }, async (_, at) => {
      await pause(at * spacingMs);
      const [body] = await Promise.all([create(platform), runNext(platform, work)]);
      return body.id;
    }),
  );
  const run = count.take();
  const metering = await meter(platform, ids);
  platform.pass(retentionSeconds + 3600);
  const { flow } = back;
  const sweeper = new Sweeper({
    flow,
    pools: platform.pools,
    now: platform.now,
    retentionSeconds,
    logger: pino({ level: 'silent' }),
  });
  count.take();
  await sweeper.removeOldData();
  await sweeper.removeLostFiles();
  return { predictions, run, metering, retention: count.take() };
}

/** A model that takes its time. */
export function busyFor(seconds: number): Work {
  return async () => {
    await pause(seconds * 1000);
    return undefined;
  };
}

/** A model that puts out a file. */
export function storesFile(platform: CountedPlatform): Work {
  return async (job) => {
    const { name, url } = await runnerOf(platform).placeFile({ ...refOf(job), contentType: 'image/png' });
    const answer = await fetch(url, {
      method: 'PUT',
      headers: { 'content-type': 'image/png' },
      body: kilobyte,
    });
    if (!answer.ok) throw new Error(`The file could not be stored: ${answer.status}`);
    return [{ name }];
  };
}

/** A model that puts out ten tokens a second for a minute, on a clock that is moved on. */
export function streamsForAMinute(platform: CountedPlatform): Work {
  return async (job) => {
    const runner = runnerOf(platform);
    for (let index = 0; index < 600; index += 1) {
      platform.pass(0.1);
      await runner.report({ ...refOf(job), events: [{ type: 'output', index, chunk: 'token ' }] });
      if (index % (heartbeatSeconds * 10) === 0) await runner.heartbeat({ instance, jobs: [refOf(job)] });
    }
    return undefined;
  };
}

/** What one webhook asks for that arrives at once: as `services/webhooks` reads and writes. */
export async function deliverOnce(platform: CountedPlatform): Promise<Tallies> {
  const { count, front, now } = platform;
  const [{ id }] = await Promise.all([create(platform), runNext(platform, busyFor(0))]);
  const deliveries = new Deliveries(front.table);
  count.take();
  const [job, url] = await Promise.all([front.flow.jobs.get(id), front.flow.jobs.webhook(id)]);
  if (!job) throw new Error(`There is no prediction ${id}`);
  const name = { job: id, event: 'completed', attempt: 1 } as const;
  const delivery: Delivery = {
    ...name,
    id: deliveryId(name),
    account: job.account,
    url: url ?? 'https://receiver.example.com/hooks/mimeo',
    state: 'pending',
    createdAt: now(),
    nextTryAt: now(),
    since: now(),
    failures: 0,
    isRedelivery: false,
    attempts: [],
    revision: 0,
  };
  await deliveries.create([delivery]);
  await deliveries.get(delivery.id);
  await front.flow.jobs.record(id);
  const attempt = { at: now(), status: 200, ms: 80, error: null, excerpt: 'ok' };
  await deliveries.update(delivery.id, (known) => ({
    ...known,
    attempts: [attempt],
    state: 'delivered',
    nextTryAt: null,
  }));
  return count.take();
}

/** What a director asks for while `work` goes on, with as many instances as there are jobs. */
export async function direct(platform: CountedPlatform, work: () => Promise<unknown>): Promise<Tallies> {
  const fleet = new StandingFleet(platform);
  const director = startDirector({
    protocol: platform.control.api.dispatch.protocolFor({ role: 'director' }),
    fleet,
    policy: () => ({ ...defaultPolicy, max: 4 }),
  });
  const stop = platform.onRunning((running) => fleet.show(running));
  platform.directorCount.take();
  await work();
  stop();
  await director.close();
  return platform.directorCount.take();
}

/** Instances that are there already, of which as many work as there are jobs. */
class StandingFleet implements Fleet {
  readonly capacity = 4;
  readonly #platform: CountedPlatform;
  readonly #listeners = new Set<() => void>();
  #running = 0;

  constructor(platform: CountedPlatform) {
    this.#platform = platform;
  }

  show(running: number): void {
    this.#running = running;
    for (const listener of this.#listeners) listener();
  }

  async apply(): Promise<void> {}

  async observe(): Promise<readonly Instance[]> {
    const { now, pool } = this.#platform;
    return Array.from({ length: this.capacity }, (_, at) => ({
      id: `${instance}-${at}`,
      pool,
      phase: 'ready',
      startedAt: now() - 60_000,
      readyAt: now() - 50_000,
      running: at < this.#running ? 1 : 0,
      idleSince: at < this.#running ? null : now(),
      failure: null,
      setupLogs: '',
    }));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {}
}

async function create({ call, version }: CountedPlatform): Promise<PredictionBody> {
  const answer = await call(
    'POST',
    '/v1/predictions',
    { version, input: { text: kilobyte } },
    { prefer: 'wait' },
  );
  const body = (await answer.json()) as PredictionBody;
  if (body.status !== 'succeeded') throw new Error(`The prediction did not succeed: ${JSON.stringify(body)}`);
  return body;
}

async function runNext(platform: CountedPlatform, work: Work): Promise<void> {
  const runner = runnerOf(platform);
  const job = await runner.lease({ instance, waitSeconds: 20 });
  if (!job) throw new Error('No job came');
  platform.tellRunning(1);
  const files = (await work(job))?.map((file) => ({ ...file, path: [] }));
  const outcome = {
    status: 'succeeded' as const,
    output: files ? null : kilobyte,
    files,
    predictMs: 2000,
    metrics: {},
  };
  await runner.report({
    ...refOf(job),
    events: [{ type: 'ended', outcome, logs: '', acceptedAfterMs: 1 }],
  });
  platform.tellRunning(-1);
}

/** Meters the ends of a batch, among them these. */
async function meter({ count, back }: CountedPlatform, ids: readonly string[]): Promise<Tallies> {
  const rows = await Promise.all(ids.map(async (id) => back.table.get(jobKey(id))));
  const [row] = rows;
  if (!row) throw new Error('There is no row of a job');
  const others = Array.from({ length: endsInABatch - rows.length }, () => {
    const id = newJobId(Date.now());
    return { ...row, ...jobKey(id), data: { ...row.data, id } };
  });
  const changes = [...rows, ...others].flatMap((after, at) =>
    after ? [{ id: String(at), key: after, before: undefined, after }] : [],
  );
  count.take();
  await createMetering(back.table).handle(changes);
  return count.take();
}

function runnerOf({ back, pool }: CountedPlatform) {
  return back.api.dispatch.protocolFor({ role: 'runner', pool });
}

function refOf({ id, attempt }: Assignment) {
  return { id, attempt };
}
