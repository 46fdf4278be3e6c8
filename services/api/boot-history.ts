import { type PoolState, sharedPoolId } from '../core/pool.ts';
import { remember } from '../core/remembered.ts';
import type { Models } from '../data/models.ts';
import type { Pools } from '../data/pools.ts';

/** For how long what was found of other versions is taken to be so. */
const freshMs = 30_000;
const rememberedPools = 500;
/** Versions before it that are looked at. */
const lookedAt = 5;

interface Which {
  readonly model: string;
  readonly version: string;
  readonly hardware: string;
}

/** What to expect of a first start: what starts of the model's other versions took on the same hardware. */
export class BootHistory {
  readonly #models: Models;
  readonly #pools: Pools;
  readonly #known = new Map<string, { readonly seconds: readonly number[]; readonly readAt: number }>();

  constructor(parts: { readonly models: Models; readonly pools: Pools }) {
    this.#models = parts.models;
    this.#pools = parts.pools;
  }

  /**
   * Seconds, newest last; empty where nothing is known.
   * @param state of the pool itself; where it has starts of its own, those are what to expect
   */
  async before(state: PoolState | undefined, of: Which): Promise<readonly number[]> {
    if (state && state.setupSeconds.length > 0) return [];
    const id = sharedPoolId(of);
    const known = this.#known.get(id);
    if (known && performance.now() - known.readAt < freshMs) return known.seconds;
    const seconds = await this.#read(of);
    remember(this.#known, id, { seconds, readAt: performance.now() }, rememberedPools);
    return seconds;
  }

  async #read({ model, version, hardware }: Which): Promise<readonly number[]> {
    const { items } = await this.#models.listVersions(model, { limit: lookedAt });
    for (const { id } of items) {
      if (id === version) continue;
      const state = await this.#pools.state(sharedPoolId({ model, version: id, hardware }));
      if (state && state.setupSeconds.length > 0) return state.setupSeconds;
    }
    return [];
  }
}
