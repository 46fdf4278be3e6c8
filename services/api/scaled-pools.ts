import { type Pool, sharedPool } from '../core/pool.ts';
import { remember } from '../core/remembered.ts';
import { keepsInstances, withoutMinimum } from '../core/scaling-settings.ts';
import type { Version } from '../core/version.ts';
import type { ModelScaling, ScaledModel } from '../data/model-scaling.ts';
import type { Models } from '../data/models.ts';

/** For how long what is wanted is taken to be as it was read, unless somebody rings; a push rings nowhere. */
const freshMs = 5000;
/** Versions never change, so they are read once. */
const rememberedVersions = 500;

interface Wanted extends ScaledModel {
  /** Of the latest version; undefined where there is none. */
  readonly latest: Pool | undefined;
}

/** What owners want of the pools of their models: settings, scheduled minimums and what is to be warm for a while. */
export class ScaledPools {
  readonly #models: Models;
  readonly #scaling: ModelScaling;
  readonly #versions = new Map<string, Version>();
  #known: Promise<ReadonlyMap<string, Wanted>> | undefined;
  #readAt = 0;

  constructor(parts: { readonly models: Models; readonly scaling: ModelScaling }) {
    this.#models = parts.models;
    this.#scaling = parts.scaling;
  }

  /** Reads anew at the next look. */
  forget(): void {
    this.#known = undefined;
  }

  /**
   * These pools, each with what is wanted of it, and beside them those that are kept though nobody uses them.
   * A minimum belongs to the latest version on the model's present hardware: the others are let go.
   */
  async complete(active: readonly Pool[]): Promise<{ pools: readonly Pool[]; added: readonly Pool[] }> {
    const wanted = await this.#read();
    if (wanted.size === 0) return { pools: active, added: [] };
    const there = new Set(active.map(({ id }) => id));
    const added = [...wanted.values()].flatMap(({ latest, scaling }) =>
      latest && keepsInstances(scaling) && !there.has(latest.id) ? [latest] : [],
    );
    const withScaling = (pool: Pool): Pool => {
      const of = wanted.get(pool.model);
      if (!of) return pool;
      return { ...pool, scaling: of.latest?.id === pool.id ? of.scaling : withoutMinimum(of.scaling) };
    };
    return { pools: [...active, ...added].map(withScaling), added };
  }

  async #read(): Promise<ReadonlyMap<string, Wanted>> {
    if (this.#known && performance.now() - this.#readAt < freshMs) return await this.#known;
    this.#readAt = performance.now();
    const reading = this.#readAll();
    this.#known = reading;
    try {
      return await reading;
    } catch (error) {
      if (this.#known === reading) this.#known = undefined;
      throw error;
    }
  }

  async #readAll(): Promise<ReadonlyMap<string, Wanted>> {
    const all = await this.#scaling.all();
    const wanted = await Promise.all(
      all.map(async (scaled) => ({ ...scaled, latest: await this.#latestPool(scaled.model) })),
    );
    return new Map(wanted.map((one) => [one.model, one]));
  }

  async #latestPool(name: string): Promise<Pool | undefined> {
    const model = await this.#models.get(name);
    const id = model?.latestVersion;
    if (!model || !id) return undefined;
    const key = `${name}:${id}`;
    const version = this.#versions.get(key) ?? (await this.#models.getVersion(name, id));
    if (!version) return undefined;
    remember(this.#versions, key, version, rememberedVersions);
    return sharedPool(model, version);
  }
}
