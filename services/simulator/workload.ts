/** Jobs to simulate, as columns: a million of them are a few arrays. Times are ms from the start. */
export interface Workload {
  readonly name: string;
  /** Costs are counted until here, or until the last job has ended where that is later. */
  readonly horizonMs: number;
  /** Names of the pools. */
  readonly pools: readonly string[];
  /** When each job is created, ascending. */
  readonly arrivalMs: Float64Array;
  readonly runMs: Float64Array;
  /** Index into `pools`. */
  readonly pool: Uint32Array;
}

/** Takes jobs in any order and makes a workload of them. */
export class WorkloadBuilder {
  readonly #name: string;
  readonly #pools = new Map<string, number>();
  readonly #arrivalMs: number[] = [];
  readonly #runMs: number[] = [];
  readonly #pool: number[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  get jobs(): number {
    return this.#arrivalMs.length;
  }

  add(pool: string, arrivalMs: number, runMs: number): void {
    let index = this.#pools.get(pool);
    if (index === undefined) {
      index = this.#pools.size;
      this.#pools.set(pool, index);
    }
    this.#arrivalMs.push(arrivalMs);
    this.#runMs.push(runMs);
    this.#pool.push(index);
  }

  /** @param horizonMs default: the last arrival */
  build(horizonMs?: number): Workload {
    const order = Uint32Array.from(this.#arrivalMs.keys());
    // By arrival, and of the same moment in the order in which they were added.
    order.sort((a, b) => (this.#arrivalMs[a] ?? 0) - (this.#arrivalMs[b] ?? 0) || a - b);
    const arrivalMs = Float64Array.from(order, (at) => this.#arrivalMs[at] ?? 0);
    return {
      name: this.#name,
      horizonMs: horizonMs ?? arrivalMs.at(-1) ?? 0,
      pools: [...this.#pools.keys()],
      arrivalMs,
      runMs: Float64Array.from(order, (at) => this.#runMs[at] ?? 0),
      pool: Uint32Array.from(order, (at) => this.#pool[at] ?? 0),
    };
  }
}
