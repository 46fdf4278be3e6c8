import type { World } from './world.ts';

/** A machine that runs, or is on its way. */
export interface Machine {
  readonly index: number;
  /** ms from the start. */
  readonly startedAt: number;
  readyAt: number;
  used: number;
  /** Since when it holds no instance; null while it holds one. */
  emptySince: number | null;
  /** Whether an event for its being given back is under way. */
  watched: boolean;
  gone: boolean;
  /** By pool, when its image is on the disk. */
  readonly images: Map<number, number>;
}

interface Stopped {
  readonly readyAt: number;
  readonly images: Map<number, number>;
}

/** The machines of one SKU: they come when an instance waits for one, and go when they have had none for a while. */
export class Machines {
  readonly #world: World;
  readonly #all: Machine[] = [];
  readonly #alive: Machine[] = [];
  #stopped: Stopped[];
  #paidMs = 0;
  #peak = 0;

  constructor(world: World) {
    this.#world = world;
    const { stopped, min } = world.machines;
    this.#stopped = Array.from({ length: stopped }, () => ({ readyAt: 0, images: new Map() }));
    for (let at = 0; at < min; at++) this.start(0, 0);
  }

  get alive(): number {
    return this.#alive.length;
  }

  get peak(): number {
    return this.#peak;
  }

  get(index: number): Machine {
    const machine = this.#all[index];
    if (!machine) throw new Error(`There is no machine ${index}`);
    return machine;
  }

  /** A machine with room, or a new one; undefined where there may be no more. Takes the place on it. */
  place(pool: number, now: number): { readonly machine: Machine; readonly isNew: boolean } | undefined {
    const found = this.#best(pool, now);
    const machine = found ?? this.#launch(now);
    if (!machine) return undefined;
    machine.used += 1;
    machine.emptySince = null;
    return { machine, isNew: found === undefined };
  }

  /** Starts one that is ready at `readyAt`. */
  start(now: number, readyAt: number, images: Map<number, number> = new Map()): Machine {
    const index = this.#all.length;
    const machine: Machine = {
      index,
      startedAt: now,
      readyAt,
      used: 0,
      emptySince: now,
      watched: false,
      gone: false,
      images,
    };
    this.#all.push(machine);
    this.#alive.push(machine);
    this.#peak = Math.max(this.#peak, this.#alive.length);
    return machine;
  }

  /** When the pool's image is on the machine's disk, from which it is pulled at the first asking. */
  pulledAt(machine: Machine, pool: number, now: number): number {
    const known = machine.images.get(pool);
    if (known !== undefined) return Math.max(known, now);
    const { imageGb, pullMbPerSecond } = this.#world.times;
    const at = now + (imageGb * 1000 * 1000) / pullMbPerSecond;
    machine.images.set(pool, at);
    return at;
  }

  /** When a machine that has been empty since then is given back. */
  dueAt(emptySince: number): number {
    return emptySince + this.#world.machines.idleSeconds * 1000;
  }

  /** Gives a machine back where it is due. */
  giveBack(machine: Machine, now: number): void {
    const { min, stopped } = this.#world.machines;
    if (this.#alive.length <= min) return;
    machine.gone = true;
    this.#alive.splice(this.#alive.indexOf(machine), 1);
    this.#paidMs += now - machine.startedAt;
    if (this.#stopped.length < stopped) this.#stopped.push({ readyAt: now, images: machine.images });
    // One with images is worth more than one that was made to stand by and has none.
    else if (stopped > 0)
      this.#stopped = [...this.#stopped.slice(1), { readyAt: now, images: machine.images }];
  }

  /** Machine-milliseconds that are paid for until `now`. */
  paidMs(now: number): number {
    return this.#alive.reduce((sum, { startedAt }) => sum + now - startedAt, this.#paidMs);
  }

  /** One that has the image, then one that is ready, then the fullest: full machines leave others empty. */
  #best(pool: number, now: number): Machine | undefined {
    let best: Machine | undefined;
    let bestScore = -1;
    for (const machine of this.#alive) {
      if (machine.used >= this.#world.machines.slots) continue;
      const ready = machine.readyAt <= now;
      const score = (ready ? 2e6 : 0) + (machine.images.has(pool) ? 1e6 : 0) + machine.used;
      if (score > bestScore) [best, bestScore] = [machine, score];
    }
    return best;
  }

  #launch(now: number): Machine | undefined {
    const { machines, times } = this.#world;
    if (this.#alive.length >= machines.max) return undefined;
    // The last one is the most likely to have images.
    const standby = this.#stopped.findLastIndex(({ readyAt }) => readyAt <= now);
    if (standby < 0) return this.start(now, now + times.nodeSeconds * 1000);
    const [{ images }] = this.#stopped.splice(standby, 1) as [Stopped];
    // Another is made to stand by in its place.
    this.#stopped.unshift({ readyAt: now + times.nodeSeconds * 1000, images: new Map() });
    return this.start(now, now + times.stoppedNodeSeconds * 1000, images);
  }
}
