/** What is being worked with, so that nobody removes it meanwhile. For one process, which has the folder to itself. */
export class Holds {
  readonly #now: () => number;
  readonly #counts = new Map<string, number>();
  readonly #until = new Map<string, number>();
  #last: Promise<unknown> = Promise.resolve();

  /** @param now epoch ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Runs one work at a time: of one who takes a thing up and one who removes it, either is done before the other. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return await done;
  }

  /** Holds a thing. @returns lets it go, `graceMs` later */
  hold(thing: string, graceMs = 0): () => void {
    this.#counts.set(thing, (this.#counts.get(thing) ?? 0) + 1);
    return () => {
      const left = (this.#counts.get(thing) ?? 1) - 1;
      if (left > 0) this.#counts.set(thing, left);
      else this.#counts.delete(thing);
      if (graceMs > 0) this.#until.set(thing, this.#now() + graceMs);
    };
  }

  has(thing: string): boolean {
    for (const [held, until] of this.#until) if (until <= this.#now()) this.#until.delete(held);
    return this.#counts.has(thing) || this.#until.has(thing);
  }
}
