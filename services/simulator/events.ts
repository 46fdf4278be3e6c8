/** What happens at a moment; `target` says to which job, machine, instance or pool. */
export const eventKinds = {
  runEnds: 0,
  machineReady: 1,
  imagePulled: 2,
  setupDone: 3,
  look: 4,
  tick: 5,
  machineIdle: 6,
  review: 7,
} as const;
export type EventKind = (typeof eventKinds)[keyof typeof eventKinds];

/** Events in the order of their times, those of one moment in the order in which they were added: a binary heap. */
export class EventQueue {
  #time = new Float64Array(1024);
  #order = new Float64Array(1024);
  #kind = new Uint8Array(1024);
  #target = new Uint32Array(1024);
  #size = 0;
  #added = 0;
  /** Of the event that `take` took last. */
  kind = 0;
  target = 0;

  /** Infinity where there is none. */
  get nextTime(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#time[0] ?? 0);
  }

  add(time: number, kind: EventKind, target: number): void {
    if (this.#size === this.#time.length) this.#grow();
    let at = this.#size++;
    const order = this.#added++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      // What was added before goes first where times are equal, so that only an earlier time rises.
      if ((this.#time[parent] ?? 0) <= time) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#set(at, time, order, kind, target);
  }

  /** Takes the next event; its `kind` and `target` are then this queue's. Returns its time. */
  take(): number {
    const time = this.nextTime;
    this.kind = this.#kind[0] ?? 0;
    this.target = this.#target[0] ?? 0;
    const last = --this.#size;
    if (last > 0) this.#sink(last);
    return time;
  }

  #sink(last: number): void {
    const time = this.#time[last] ?? 0;
    const order = this.#order[last] ?? 0;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#isBefore(child + 1, this.#time[child] ?? 0, this.#order[child] ?? 0)) {
        child += 1;
      }
      if (!this.#isBefore(child, time, order)) break;
      this.#move(child, at);
      at = child;
    }
    this.#set(at, time, order, this.#kind[last] ?? 0, this.#target[last] ?? 0);
  }

  #isBefore(at: number, time: number, order: number): boolean {
    const own = this.#time[at] ?? 0;
    return own < time || (own === time && (this.#order[at] ?? 0) < order);
  }

  #move(from: number, to: number): void {
    this.#set(
      to,
      this.#time[from] ?? 0,
      this.#order[from] ?? 0,
      this.#kind[from] ?? 0,
      this.#target[from] ?? 0,
    );
  }

  #set(at: number, time: number, order: number, kind: number, target: number): void {
    this.#time[at] = time;
    this.#order[at] = order;
    this.#kind[at] = kind;
    this.#target[at] = target;
  }

  #grow(): void {
    const size = this.#time.length * 2;
    const [time, order, kind, target] = [this.#time, this.#order, this.#kind, this.#target];
    this.#time = new Float64Array(size);
    this.#order = new Float64Array(size);
    this.#kind = new Uint8Array(size);
    this.#target = new Uint32Array(size);
    this.#time.set(time);
    this.#order.set(order);
    this.#kind.set(kind);
    this.#target.set(target);
  }
}

/** Whole numbers, first in, first out. */
export class Ring {
  #items = new Uint32Array(16);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: number): void {
    if (this.#size === this.#items.length) {
      const grown = new Uint32Array(this.#size * 2);
      for (let at = 0; at < this.#size; at++) grown[at] = this.#at(at);
      this.#items = grown;
      this.#head = 0;
    }
    this.#items[(this.#head + this.#size) & (this.#items.length - 1)] = item;
    this.#size += 1;
  }

  /** undefined where it is empty. */
  shift(): number | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#at(0);
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.#size -= 1;
    return item;
  }

  #at(place: number): number {
    return this.#items[(this.#head + place) & (this.#items.length - 1)] ?? 0;
  }
}
