/** Posts at a time, to everybody and to one host: a receiver that is dead holds up nobody but itself. */
const mostAtOnce = 128;
const mostAtOnceOfHost = 4;
/** Deliveries to one host that are kept in line; what is beyond is found again in the Table. */
const longestLine = 1000;

interface Lane {
  active: number;
  /** Ids of deliveries: those that must arrive go before those that are old soon. */
  readonly urgent: string[];
  readonly rest: string[];
  /** Whether something found no room since it was empty. */
  hasOverflowed: boolean;
}

/** A line for each host. `work` is called for each delivery, a bounded number at a time, and never throws. */
export class Lanes {
  readonly #work: (id: string) => Promise<void>;
  readonly #onRoom: () => void;
  readonly #lanes = new Map<string, Lane>();
  readonly #known = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  #closed = false;

  /** @param onRoom called when there is room again after something found none */
  constructor(work: (id: string) => Promise<void>, onRoom: () => void) {
    this.#work = work;
    this.#onRoom = onRoom;
  }

  /** Puts a delivery in line, once. @param isUrgent whether it goes before what is not */
  add(id: string, host: string, isUrgent: boolean): void {
    if (this.#closed || this.#known.has(id)) return;
    const lane = this.#lanes.get(host) ?? { active: 0, urgent: [], rest: [], hasOverflowed: false };
    const line = isUrgent ? lane.urgent : lane.rest;
    if (line.length >= longestLine) {
      lane.hasOverflowed = true;
      return;
    }
    this.#lanes.set(host, lane);
    this.#known.add(id);
    line.push(id);
    this.#run();
  }

  /** Begins nothing more; resolves when nothing runs. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#running);
  }

  #run(): void {
    for (const [host, lane] of [...this.#lanes]) {
      while (!this.#closed && lane.active < mostAtOnceOfHost && this.#running.size < mostAtOnce) {
        const id = lane.urgent.shift() ?? lane.rest.shift();
        if (id === undefined) break;
        this.#begin(id, host, lane);
      }
    }
  }

  #begin(id: string, host: string, lane: Lane): void {
    lane.active += 1;
    // Whoever has just had a turn comes last for the next.
    this.#lanes.delete(host);
    this.#lanes.set(host, lane);
    const running = this.#work(id).finally(() => {
      lane.active -= 1;
      this.#known.delete(id);
      this.#running.delete(running);
      const isEmpty = lane.urgent.length + lane.rest.length === 0;
      if (lane.active === 0 && isEmpty) this.#lanes.delete(host);
      if (isEmpty && lane.hasOverflowed && !this.#closed) {
        lane.hasOverflowed = false;
        this.#onRoom();
      }
      this.#run();
    });
    this.#running.add(running);
  }
}
