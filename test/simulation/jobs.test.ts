import { afterEach, expect, it } from 'vitest';
import { hasEnded, type Job, type JobFailure } from '../../services/core/job.ts';
import { usageRecordOf } from '../../services/core/usage.ts';
import { Models } from '../../services/data/models.ts';
import { Usage } from '../../services/data/usage.ts';
import { aJob } from '../support/jobs.ts';
import { Chance } from './chance.ts';
import { type Faults, newFolder, openPlant, type Plant, pool } from './plant.ts';
import { VirtualRunner, type Witness } from './virtual-runner.ts';

const steps = 250;
const startedAt = Date.UTC(2026, 10, 21);
/** One more seed, or many: SIMULATION_SEEDS=100-200 */
const [first = 1, last = 12] = (process.env.SIMULATION_SEEDS ?? '').split('-').filter(Boolean).map(Number);
const seeds = Array.from({ length: Math.max(1, last - first + 1) }, (_, at) => first + at);

let cleanUp: (() => Promise<void>) | undefined;
afterEach(async () => {
  await cleanUp?.();
  cleanUp = undefined;
});

it.each(seeds)('whatever goes wrong, each job ends once and is billed once (seed %i)', async (seed) => {
  const life = await Life.begin(seed);
  cleanUp = async () => life.end();

  for (let step = 0; step < steps; step += 1) await life.step();
  await life.settle();

  expect(life.violations).toEqual([]);
  expect(life.accepted.size).toBeGreaterThan(20);
  await life.check();
});

/** Some hours of a control plane, its runners and its users. */
class Life implements Witness {
  readonly accepted = new Set<string>();
  readonly violations: string[] = [];
  readonly #chance: Chance;
  readonly #faults: Faults;
  readonly #clock = { now: startedAt };
  readonly #folder: Awaited<ReturnType<typeof newFolder>>;
  readonly #runners: VirtualRunner[];
  /** Rows of jobs as they were when they were first seen to have ended. */
  readonly #ended = new Map<string, Job>();
  /** Attempts of which a reader may have seen output. */
  readonly #shown = new Map<string, number>();
  #plant: Plant;

  static async begin(seed: number): Promise<Life> {
    const chance = new Chance(seed);
    const folder = await newFolder();
    const faults = { chance: new Chance(seed + 1_000_000), on: true };
    const clock = { now: startedAt };
    return new Life(chance, faults, clock, folder, await openPlant(folder.path, clock, faults));
  }

  private constructor(
    chance: Chance,
    faults: Faults,
    clock: { now: number },
    folder: Awaited<ReturnType<typeof newFolder>>,
    plant: Plant,
  ) {
    this.#chance = chance;
    this.#faults = faults;
    this.#clock = clock;
    this.#folder = folder;
    this.#plant = plant;
    this.#runners = ['a', 'b', 'c'].map((name) => new VirtualRunner(name, () => this.#plant, chance, this));
  }

  async end(): Promise<void> {
    await this.#plant.close();
    await this.#folder.remove();
  }

  /** Some things at once, and time. */
  async step(): Promise<void> {
    const actions = Array.from({ length: 1 + this.#chance.below(4) }, () => this.#action());
    const done = Promise.all(actions.map(async (action) => action().catch(() => undefined)));
    if (this.#chance.happens(0.02)) await this.#restart();
    await done;
    // The queue and the change feed work between the turns.
    await new Promise((resolve) => setImmediate(resolve));
    this.#clock.now += this.#chance.happens(0.05) ? 61_000 : this.#chance.below(4000);
    await this.#look();
  }

  /** Nothing goes wrong any more: what waits is run, and what was lost is found. */
  async settle(): Promise<void> {
    this.#faults.on = false;
    for (let rounds = 0; rounds < 10; rounds += 1) {
      for (const runner of this.#runners) await runner.die();
      this.#clock.now += 61_000;
      await this.#tellOfIdleInstance();
      await this.#plant.sweeper.cancelOverdue();
      await this.#plant.sweeper.repair();
      for (const runner of this.#runners) while (await runner.lease()) await runner.end('well');
    }
    await this.#look();
  }

  /** What must be true when all is over. */
  async check(): Promise<void> {
    const { items: records } = await this.#plant.flow.jobs.list('local', { limit: 1000 });
    const jobs = records.map(({ job }) => job);
    expect(jobs.filter(({ status }) => !hasEnded(status))).toEqual([]);
    expect(jobs.map(({ id }) => id)).toEqual(expect.arrayContaining([...this.accepted]));
    for (const { job, result } of records) {
      // A job whose end was written has the result of the attempt that ended it.
      if (job.status === 'succeeded')
        expect(result).toMatchObject({ attempt: job.attempt, output: `of ${job.attempt}` });
    }
    const usage = new Usage(this.#plant.table);
    await expect
      .poll(async () => (await usage.list('local', startedAt, { limit: 1000 })).items.length, {
        timeout: 10_000,
      })
      .toBe(jobs.length);
    for (const job of jobs) {
      const record = await usage.get({ ...job, endedAt: Number(job.completedAt) });
      expect(record).toMatchObject({ ...usageRecordOf(job) });
    }
    expect(await new Models(this.#plant.table).runCount(pool.model)).toBe(jobs.length);
  }

  asked() {
    const endedBefore = new Set(this.#ended.keys());
    return ({ id, attempt }: { id: string; attempt: number }) => {
      if (endedBefore.has(id)) this.violations.push(`${id} was leased after its end`);
      const shown = this.#shown.get(id) ?? attempt;
      if (shown < attempt)
        this.violations.push(`${id} was leased again after attempt ${shown} had shown output`);
    };
  }

  shown({ id, attempt }: { id: string; attempt: number }): void {
    this.#shown.set(id, Math.max(attempt, this.#shown.get(id) ?? 0));
  }

  #action(): () => Promise<unknown> {
    const { sweeper, director } = this.#plant;
    const runner = this.#chance.pick(this.#runners) as VirtualRunner;
    const kinds: [number, () => Promise<unknown>][] = [
      [6, async () => this.#create()],
      [8, async () => runner.lease()],
      [6, async () => runner.progress()],
      [6, async () => runner.end()],
      [3, async () => runner.heartbeat()],
      [1, async () => runner.giveBack()],
      [1, async () => runner.die()],
      [3, async () => this.#cancel()],
      [2, async () => sweeper.cancelOverdue()],
      [2, async () => sweeper.repair()],
      [1, async () => this.#tellOfIdleInstance()],
      [0.3, async () => director.refuse({ pool: pool.id, failure: setupFailed, logs: 'Traceback' })],
    ];
    let left = this.#chance.next() * kinds.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, action] of kinds) {
      left -= weight;
      if (left < 0) return action;
    }
    return async () => undefined;
  }

  async #create(): Promise<void> {
    const now = this.#clock.now;
    const deadlineAt = this.#chance.happens(0.2) ? now + 5000 + this.#chance.below(60_000) : null;
    const id = `${String(this.accepted.size).padStart(4, '0')}-${this.#chance.below(1e9)}`;
    const job = aJob({ id, pool: pool.id, model: pool.model, streams: true, createdAt: now, deadlineAt });
    await this.#plant.pools.touch(pool, now);
    await this.#plant.flow.create(job, { text: id }, { traceparent: null, secrets: [] });
    this.accepted.add(id);
  }

  async #cancel(): Promise<void> {
    const id = this.#chance.pick(this.accepted);
    if (id === undefined) return;
    const cancel = async () => this.#plant.flow.cancel(id, 'canceled', this.#clock.now);
    await Promise.all(this.#chance.happens(0.3) ? [cancel(), cancel()] : [cancel()]);
  }

  async #tellOfIdleInstance(): Promise<void> {
    const since = this.#clock.now - 10_000;
    const instance = {
      id: 'a',
      pool: pool.id,
      phase: 'ready',
      startedAt: since,
      readyAt: since,
      running: 0,
      idleSince: since,
      failure: null,
      setupLogs: '',
    } as const;
    await this.#plant.director.reportPool({
      pool: pool.id,
      at: this.#clock.now,
      desired: 1,
      reason: '',
      instances: [instance],
      breaker: null,
      setupSeconds: [],
    });
  }

  /** The process dies in the middle of what it does, and another takes over its files. */
  async #restart(): Promise<void> {
    await this.#plant.close();
    for (const runner of this.#runners) await runner.die();
    this.#plant = await openPlant(this.#folder.path, this.#clock, this.#faults);
    for (;;) {
      // A start that fails is tried again.
      const recovered = await this.#plant.sweeper.recover().catch(() => undefined);
      if (recovered !== undefined) return;
    }
  }

  /** An ended job never changes. */
  async #look(): Promise<void> {
    const { items } = await this.#plant.table.query(
      { index: 'listing', pk: 'PREDICTIONS#local' },
      { limit: 1000 },
    );
    for (const item of items) {
      const job = item.data as unknown as Job;
      const before = this.#ended.get(job.id);
      if (before) {
        if (JSON.stringify(before) !== JSON.stringify(job))
          this.violations.push(`${job.id} changed after its end`);
      } else if (hasEnded(job.status)) this.#ended.set(job.id, job);
    }
  }
}

const setupFailed: JobFailure = { code: 'setup_failed', message: 'setup() raised' };
