import { shareCapacity } from '../core/capacity.ts';
import type { Instance, PoolState } from '../core/pool.ts';
import { isStarting } from '../core/scaling-memory.ts';
import { explainWaiting } from '../core/waiting.ts';
import { EventQueue, eventKinds } from './events.ts';
import { type Machine, Machines } from './machines.ts';
import { type Held, SimulatedPool } from './pool.ts';
import type { Scaler } from './scaler.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

/** Waits that are foretold, at most, spread evenly over the jobs: foretelling costs more than running. */
const foretoldWaits = 20_000;
/** Moments at which a simulation is drawn. */
const drawnMoments = 240;

/** The state at evenly spaced moments. */
export interface Timeline {
  readonly everyMs: number;
  /** Jobs that wait or run. */
  readonly demand: number[];
  /** Ready or starting. */
  readonly instances: number[];
  readonly machines: number[];
}

/** Everything that a simulation has seen. */
export interface Trail {
  /** By job: ms from its creation until it began. */
  readonly waitMs: Float64Array;
  /** By job: 1 where none of its pool's instances was ready when it was created. */
  readonly cold: Uint8Array;
  /** Waits that were foretold when their jobs were created, and what came, in seconds. */
  readonly foretold: readonly { readonly p50: number | null; readonly came: number }[];
  readonly endMs: number;
  readonly machineMs: number;
  /** From an instance's start until it is gone. */
  readonly instanceMs: number;
  /** Of those, with a job. */
  readonly busyMs: number;
  readonly peakInstances: number;
  readonly peakMachines: number;
  readonly looks: number;
  readonly timeline: Timeline;
}

export interface SimulationOptions {
  readonly workload: Workload;
  readonly world: World;
  readonly scaler: Scaler;
  /** Looks even where that could change nothing; only slower. @default false */
  readonly everyLook?: boolean;
}

/** Runs a workload on a world whose instances one scaler decides on. The same options give the same trail. */
export function simulate(options: SimulationOptions): Trail {
  return new Simulation(options).run();
}

class Simulation {
  readonly #workload: Workload;
  readonly #world: World;
  readonly #scaler: Scaler;
  readonly #everyLook: boolean;
  readonly #events = new EventQueue();
  readonly #machines: Machines;
  readonly #pools: readonly SimulatedPool[];
  readonly #held: Held[] = [];
  /** Instances for which there is no machine yet, in the order of their starts. */
  #homeless: Held[] = [];
  /** By machine that is on its way: the instances that it is for. */
  readonly #arriving = new Map<number, Held[]>();
  /** By job: the next one that waits. */
  readonly #nextInQueue: Int32Array;
  readonly #heldOfJob: Int32Array;
  readonly #waitMs: Float64Array;
  readonly #cold: Uint8Array;
  readonly #foretold: { readonly job: number; readonly p50: number | null }[] = [];
  readonly #timeline: Timeline;
  #dirty: SimulatedPool[] = [];
  #lookScheduled = false;
  #lastLook = Number.NEGATIVE_INFINITY;
  #now = 0;
  #ended = 0;
  #live = 0;
  #wanted = 0;
  #peak = 0;
  #instanceMs = 0;
  #busyMs = 0;
  #looks = 0;

  constructor({ workload, world, scaler, everyLook = false }: SimulationOptions) {
    this.#workload = workload;
    this.#world = world;
    this.#scaler = scaler;
    this.#everyLook = everyLook;
    this.#machines = new Machines(world);
    this.#pools = workload.pools.map(
      (_, index) => new SimulatedPool(index, scaler.open(index), world.concurrency),
    );
    const jobs = workload.arrivalMs.length;
    this.#nextInQueue = new Int32Array(jobs).fill(-1);
    this.#heldOfJob = new Int32Array(jobs).fill(-1);
    this.#waitMs = new Float64Array(jobs);
    this.#cold = new Uint8Array(jobs);
    const everyMs = Math.max(1, workload.horizonMs / drawnMoments);
    this.#timeline = { everyMs, demand: [], instances: [], machines: [] };
  }

  run(): Trail {
    const { arrivalMs, horizonMs } = this.#workload;
    const jobs = arrivalMs.length;
    this.#begin();
    let arrived = 0;
    for (;;) {
      const arrival = arrived < jobs ? (arrivalMs[arrived] ?? 0) : Number.POSITIVE_INFINITY;
      const next = Math.min(arrival, this.#events.nextTime);
      if (this.#ended === jobs && next > horizonMs) break;
      if (next === Number.POSITIVE_INFINITY) {
        throw new Error(`${this.#scaler.name} leaves ${jobs - this.#ended} jobs waiting for ever`);
      }
      this.#draw(next);
      if (this.#events.nextTime <= arrival) this.#handleEvent();
      else {
        this.#now = arrival;
        this.#arrive(arrived++);
      }
    }
    return this.#trail(Math.max(horizonMs, this.#now));
  }

  #trail(endMs: number): Trail {
    this.#draw(endMs + 1);
    for (const held of this.#held) if (!held.gone) this.#countUp(held, endMs);
    return {
      waitMs: this.#waitMs,
      cold: this.#cold,
      foretold: this.#foretold.map(({ job, p50 }) => ({ p50, came: (this.#waitMs[job] ?? 0) / 1000 })),
      endMs,
      machineMs: this.#machines.paidMs(endMs),
      instanceMs: this.#instanceMs,
      busyMs: this.#busyMs,
      peakInstances: this.#peak,
      peakMachines: this.#machines.peak,
      looks: this.#looks,
      timeline: this.#timeline,
    };
  }

  #begin(): void {
    for (const pool of this.#pools) {
      const initial = Math.min(this.#scaler.initial(pool.index), this.#world.maxInstances - this.#live);
      for (let at = 0; at < initial; at++) this.#startReady(pool);
      pool.wanted = pool.live;
      this.#wanted += pool.live;
    }
  }

  /** Notes the state at each drawn moment before `next`. */
  #draw(next: number): void {
    const { everyMs, demand, instances, machines } = this.#timeline;
    while (demand.length < drawnMoments && demand.length * everyMs < next) {
      demand.push(this.#pools.reduce((sum, { queued, running }) => sum + queued + running, 0));
      instances.push(this.#live);
      machines.push(this.#machines.alive);
    }
  }

  #handleEvent(): void {
    this.#now = this.#events.take();
    const { kind, target } = this.#events;
    switch (kind) {
      case eventKinds.runEnds:
        this.#endRun(target);
        break;
      case eventKinds.machineReady:
        for (const held of this.#arriving.get(target) ?? []) if (!held.gone) this.#pull(held);
        this.#arriving.delete(target);
        break;
      case eventKinds.imagePulled:
        this.#setUp(this.#heldAt(target));
        break;
      case eventKinds.setupDone:
        this.#becomeReady(this.#heldAt(target));
        break;
      case eventKinds.look:
        this.#lookScheduled = false;
        this.#look();
        break;
      case eventKinds.tick:
        this.#tick(this.#poolAt(target));
        break;
      case eventKinds.machineIdle:
        this.#reviewMachine(this.#machines.get(target));
        break;
      case eventKinds.review: {
        const pool = this.#poolAt(target);
        pool.reviewAt = Number.POSITIVE_INFINITY;
        pool.advance(this.#now);
        this.#markDirty(pool);
        break;
      }
    }
  }

  // Jobs

  #arrive(job: number): void {
    const pool = this.#poolAt(this.#workload.pool[job] ?? 0);
    pool.advance(this.#now);
    if (pool.ready === 0) this.#cold[job] = 1;
    const held = this.#takeFree(pool);
    if (held) this.#start(job, held);
    else this.#enqueue(job, pool);
    if (this.#scaler.pace.by === 'ticks') this.#wakeTicks(pool);
    else this.#request(pool);
  }

  #enqueue(job: number, pool: SimulatedPool): void {
    if (pool.tail < 0) pool.head = job;
    else this.#nextInQueue[pool.tail] = job;
    pool.tail = job;
    pool.queued += 1;
    const { setupSeconds } = pool.scaler;
    const stride = Math.max(1, Math.ceil(this.#waitMs.length / foretoldWaits));
    if (setupSeconds === undefined || job % stride !== 0) return;
    const state: PoolState = {
      pool: this.#workload.pools[pool.index] ?? '',
      at: this.#now,
      desired: pool.live,
      reason: '',
      instances: pool.instances,
      breaker: null,
      setupSeconds: [...setupSeconds],
    };
    const { concurrency, runSeconds, queued: position } = pool;
    const foretold = explainWaiting({ state, concurrency, position, runSeconds, now: this.#now });
    this.#foretold.push({ job, p50: foretold.eta_seconds?.p50 ?? null });
  }

  /** An instance that has room for a job; undefined where none has. */
  #takeFree(pool: SimulatedPool): Held | undefined {
    for (;;) {
      const index = pool.free.shift();
      if (index === undefined) return undefined;
      const held = this.#heldAt(index);
      if (!held.gone && !held.draining) return held;
    }
  }

  #start(job: number, held: Held): void {
    const { instance, pool } = held;
    if (instance.running === 0) {
      held.busySince = this.#now;
      instance.idleSince = null;
    }
    instance.running += 1;
    pool.running += 1;
    this.#heldOfJob[job] = held.index;
    this.#waitMs[job] = this.#now - (this.#workload.arrivalMs[job] ?? 0);
    this.#events.add(this.#now + (this.#workload.runMs[job] ?? 0), eventKinds.runEnds, job);
  }

  #endRun(job: number): void {
    const held = this.#heldAt(this.#heldOfJob[job] ?? -1);
    const { pool, instance } = held;
    pool.advance(this.#now);
    pool.remember(this.#workload.runMs[job] ?? 0);
    pool.running -= 1;
    instance.running -= 1;
    this.#ended += 1;
    if (instance.running === 0) {
      held.busyMs += this.#now - held.busySince;
      instance.idleSince = this.#now;
    }
    if (!held.draining) {
      pool.free.push(held.index);
      this.#feed(pool);
    } else if (instance.running === 0) this.#remove(held);
    this.#request(pool);
    if (instance.running === 0 && !held.gone) this.#reviewWhenIdle(pool);
  }

  /** Gives waiting jobs to instances that have room. */
  #feed(pool: SimulatedPool): void {
    while (pool.head >= 0) {
      const held = this.#takeFree(pool);
      if (!held) return;
      const job = pool.head;
      pool.head = this.#nextInQueue[job] ?? -1;
      if (pool.head < 0) pool.tail = -1;
      pool.queued -= 1;
      this.#start(job, held);
    }
  }

  // Instances

  #startInstance(pool: SimulatedPool): Held {
    const index = this.#held.length;
    const instance: Instance = {
      id: String(index),
      pool: this.#workload.pools[pool.index] ?? '',
      phase: 'node',
      startedAt: this.#now,
      readyAt: null,
      running: 0,
      idleSince: null,
      failure: null,
      setupLogs: '',
    };
    const held: Held = {
      index,
      pool,
      instance,
      machine: null,
      draining: false,
      gone: false,
      busySince: 0,
      busyMs: 0,
    };
    this.#held.push(held);
    pool.held.push(held);
    pool.instances.push(instance);
    pool.live += 1;
    pool.phasesChanged = true;
    this.#live += 1;
    this.#peak = Math.max(this.#peak, this.#live);
    return held;
  }

  /** Before time begins, with its machine. */
  #startReady(pool: SimulatedPool): void {
    const held = this.#startInstance(pool);
    const place = this.#machines.place(pool.index, 0);
    if (!place) throw new Error('There are not enough machines for what is to be ready at the start.');
    place.machine.readyAt = 0;
    place.machine.images.set(pool.index, 0);
    held.machine = place.machine;
    this.#becomeReady(held);
  }

  #findPlace(held: Held): boolean {
    const place = this.#machines.place(held.pool.index, this.#now);
    if (!place) return false;
    held.machine = place.machine;
    const { index, readyAt } = place.machine;
    if (place.isNew) {
      this.#arriving.set(index, [held]);
      this.#events.add(readyAt, eventKinds.machineReady, index);
    } else if (this.#arriving.has(index)) this.#arriving.get(index)?.push(held);
    else this.#pull(held);
    return true;
  }

  #pull(held: Held): void {
    if (!held.machine || held.instance.phase !== 'node') return;
    this.#enterPhase(held, 'image');
    const at = this.#machines.pulledAt(held.machine, held.pool.index, this.#now);
    this.#events.add(at, eventKinds.imagePulled, held.index);
  }

  #setUp(held: Held): void {
    if (held.gone) return;
    this.#enterPhase(held, 'setup');
    this.#events.add(this.#now + this.#world.times.setupSeconds * 1000, eventKinds.setupDone, held.index);
  }

  #becomeReady(held: Held): void {
    if (held.gone) return;
    const { pool, instance } = held;
    pool.advance(this.#now);
    instance.phase = 'ready';
    instance.readyAt = this.#now;
    instance.idleSince = this.#now;
    pool.ready += 1;
    pool.phasesChanged = true;
    for (let slot = 0; slot < this.#world.concurrency; slot++) pool.free.push(held.index);
    this.#feed(pool);
    this.#request(pool);
    if (instance.running === 0) this.#reviewWhenIdle(pool);
  }

  #enterPhase(held: Held, phase: Instance['phase']): void {
    const { pool } = held;
    pool.advance(this.#now);
    held.instance.phase = phase;
    pool.phasesChanged = true;
    this.#request(pool);
  }

  #stop(held: Held): void {
    const { pool, instance } = held;
    if (instance.phase === 'ready') pool.ready -= 1;
    pool.live -= 1;
    this.#live -= 1;
    pool.phasesChanged = true;
    instance.phase = 'draining';
    held.draining = true;
    if (instance.running === 0) this.#remove(held);
  }

  #remove(held: Held): void {
    const { pool, machine } = held;
    held.gone = true;
    this.#countUp(held, this.#now);
    const place = pool.held.indexOf(held);
    pool.held.splice(place, 1);
    pool.instances.splice(place, 1);
    pool.phasesChanged = true;
    if (!machine) {
      this.#homeless = this.#homeless.filter((other) => other !== held);
      return;
    }
    machine.used -= 1;
    if (machine.used === 0) {
      machine.emptySince = this.#now;
      this.#watchMachine(machine);
    }
    while (this.#homeless[0] && this.#findPlace(this.#homeless[0])) this.#homeless.shift();
  }

  #countUp(held: Held, until: number): void {
    this.#instanceMs += until - held.instance.startedAt;
    this.#busyMs += held.busyMs + (held.instance.running > 0 ? until - held.busySince : 0);
  }

  #watchMachine(machine: Machine): void {
    if (machine.watched || machine.emptySince === null) return;
    machine.watched = true;
    this.#events.add(this.#machines.dueAt(machine.emptySince), eventKinds.machineIdle, machine.index);
  }

  #reviewMachine(machine: Machine): void {
    machine.watched = false;
    if (machine.gone || machine.emptySince === null) return;
    if (this.#machines.dueAt(machine.emptySince) > this.#now) this.#watchMachine(machine);
    else this.#machines.giveBack(machine, this.#now);
  }

  // Scaling

  /** Asks for a look at a pool that has changed. */
  #request(pool: SimulatedPool): void {
    if (this.#scaler.pace.by === 'ticks') {
      if (pool.live > 0) this.#wakeTicks(pool);
      return;
    }
    const { scaler } = pool;
    scaler.note?.(pool);
    if (!this.#everyLook && scaler.isWorthALook?.(pool, pool.phasesChanged) === false) return;
    this.#markDirty(pool);
  }

  #markDirty(pool: SimulatedPool): void {
    const { pace } = this.#scaler;
    if (pace.by === 'ticks') return;
    if (!pool.dirty) {
      pool.dirty = true;
      this.#dirty.push(pool);
    }
    if (this.#lookScheduled) return;
    this.#lookScheduled = true;
    this.#events.add(Math.max(this.#now, this.#lastLook + pace.spacingMs), eventKinds.look, 0);
  }

  #reviewWhenIdle(pool: SimulatedPool): void {
    const at = pool.scaler.reviewAt?.(this.#now);
    if (at !== undefined) this.#reviewAt(pool, at);
  }

  #reviewAt(pool: SimulatedPool, at: number): void {
    if (at >= pool.reviewAt) return;
    pool.reviewAt = at;
    this.#events.add(at, eventKinds.review, pool.index);
  }

  #look(): void {
    this.#lastLook = this.#now;
    const pools = this.#dirty;
    this.#dirty = [];
    for (const pool of pools) {
      pool.dirty = false;
      this.#ask(pool);
    }
    if (this.#wanted <= this.#world.maxInstances) for (const pool of pools) this.#apply(pool, pool.wanted);
    else this.#applyShares();
  }

  #ask(pool: SimulatedPool): void {
    pool.advance(this.#now);
    const { replicas, reviewAt } = pool.scaler.look(pool);
    this.#looks += 1;
    pool.phasesChanged = false;
    this.#wanted += replicas - pool.wanted;
    pool.wanted = replicas;
    if (reviewAt !== null) this.#reviewAt(pool, reviewAt);
  }

  /** As the director divides a fleet that is too small for all. Makes room before it takes it. */
  #applyShares(): void {
    const pools = this.#pools.filter(({ wanted, live }) => wanted > 0 || live > 0);
    const claims = pools.map((pool) => ({
      pool: String(pool.index),
      wanted: pool.wanted,
      live: pool.live,
      working: pool.instances.filter((instance) => isStarting(instance) || instance.running > 0).length,
      oldestQueuedAt: pool.head < 0 ? null : (this.#workload.arrivalMs[pool.head] ?? 0),
    }));
    const shares = shareCapacity(claims, this.#world.maxInstances);
    const shareOf = ({ index }: SimulatedPool) => shares.get(String(index)) ?? 0;
    for (const pool of pools) if (shareOf(pool) < pool.live) this.#apply(pool, shareOf(pool));
    for (const pool of pools) if (shareOf(pool) > pool.live) this.#apply(pool, shareOf(pool));
  }

  #apply(pool: SimulatedPool, replicas: number): void {
    for (let more = replicas - pool.live; more > 0 && this.#live < this.#world.maxInstances; more--) {
      const held = this.#startInstance(pool);
      if (!this.#findPlace(held)) this.#homeless.push(held);
    }
    const fewer = pool.live - replicas;
    if (fewer > 0) for (const held of this.#toStop(pool).slice(0, fewer)) this.#stop(held);
  }

  /** What may be stopped, in order: those that boot where the scaler stops them, the idle, the least busy. */
  #toStop(pool: SimulatedPool): readonly Held[] {
    const { stopsBooting } = this.#scaler;
    const live = pool.held.filter(({ draining }) => !draining);
    const booting = stopsBooting ? live.filter(({ instance }) => isStarting(instance)).reverse() : [];
    const ready = live
      .filter(({ instance }) => instance.phase === 'ready')
      .sort(
        (a, b) =>
          a.instance.running - b.instance.running ||
          (a.instance.idleSince ?? 0) - (b.instance.idleSince ?? 0) ||
          a.index - b.index,
      );
    return [...booting, ...ready];
  }

  #wakeTicks(pool: SimulatedPool): void {
    const { pace } = this.#scaler;
    if (pace.by !== 'ticks') return;
    if (pace.atOnceFromZero && pool.live === 0 && pool.queued > 0) this.#decideByTick(pool);
    if (pool.ticking) return;
    pool.ticking = true;
    const next = (Math.floor(this.#now / pace.everyMs) + 1) * pace.everyMs;
    this.#events.add(next, eventKinds.tick, pool.index);
  }

  #tick(pool: SimulatedPool): void {
    pool.ticking = false;
    this.#decideByTick(pool);
    // A pool without instances and jobs changes nothing until its next job.
    if (pool.live > 0 || pool.queued + pool.running > 0) this.#wakeTicks(pool);
  }

  #decideByTick(pool: SimulatedPool): void {
    this.#ask(pool);
    this.#apply(pool, pool.wanted);
  }

  #heldAt(index: number): Held {
    const held = this.#held[index];
    if (!held) throw new Error(`There is no instance ${index}`);
    return held;
  }

  #poolAt(index: number): SimulatedPool {
    const pool = this.#pools[index];
    if (!pool) throw new Error(`There is no pool ${index}`);
    return pool;
  }
}
