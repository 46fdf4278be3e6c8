import {
  addHold,
  type PoolScaling,
  type ScalingSettings,
  scalingSettingsSchema,
  type WarmHold,
} from '../core/scaling-settings.ts';
import { ConflictError, type Item, type Key, type Table } from '../ports/table/port.ts';
import { fromStored, toStored } from './stored.ts';

const listingOfAll = 'SCALED';
const pageSize = 1000;

/** A model by its full name, and what is wanted of its latest version's instances. */
export interface ScaledModel {
  readonly model: string;
  readonly scaling: PoolScaling;
}

type StoredHolds = {
  readonly holds: readonly WarmHold[];
  /** Another with each change: of two at once, neither is lost. */
  readonly revision: number;
};

/** What owners want of the instances of their models. `name` is always the full `owner/name`. */
export class ModelScaling {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  async settings(name: string): Promise<ScalingSettings | undefined> {
    const item = await this.#table.get(settingsKey(name));
    return item && settingsOf(item);
  }

  /** Replaces the settings; null takes them away. @throws ConflictError where there is no such model */
  async set(name: string, settings: ScalingSettings | null): Promise<void> {
    const key = settingsKey(name);
    await this.#table.write([
      { op: 'check', key: { pk: key.pk, sk: 'MODEL' }, when: { present: true } },
      settings === null
        ? { op: 'delete', key }
        : { op: 'put', item: { ...key, data: toStored(settings), keys: listed(key) } },
    ]);
  }

  /** Instances that are kept for a while, those that have been asked for before included. @param now epoch ms */
  async hold(name: string, hold: WarmHold, now: number): Promise<readonly WarmHold[]> {
    const key = holdsKey(name);
    for (;;) {
      const item = await this.#table.get(key);
      const known = item && fromStored<StoredHolds>(item);
      const holds = addHold(known?.holds ?? [], hold, now);
      const stored: StoredHolds = { holds, revision: (known?.revision ?? 0) + 1 };
      const expiresAt = Math.ceil(Math.max(...holds.map(({ until }) => until)) / 1000);
      try {
        await this.#table.write([
          {
            op: 'put',
            item: { ...key, data: toStored(stored), keys: listed(key), expiresAt },
            // One that is over may still lie there.
            ...(known && { when: { equals: { revision: known.revision } } }),
          },
        ]);
        return holds;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
    }
  }

  /** Lets go of what was to be kept for a while. */
  async release(name: string): Promise<void> {
    await this.#table.write([{ op: 'delete', key: holdsKey(name) }]);
  }

  /** Every model that somebody has settings for, or wants warm. */
  async all(): Promise<readonly ScaledModel[]> {
    const found = new Map<string, PoolScaling>();
    let cursor: string | undefined;
    do {
      const partition = { index: 'listing', pk: listingOfAll } as const;
      const page = await this.#table.query(partition, { limit: pageSize, cursor });
      for (const item of page.items) {
        const model = item.pk.slice('MODEL#'.length);
        const more =
          item.sk === 'SCALING' ? settingsOf(item) : { warm: [...fromStored<StoredHolds>(item).holds] };
        found.set(model, { ...found.get(model), ...more });
      }
      cursor = page.next;
    } while (cursor !== undefined);
    return [...found].map(([model, scaling]) => ({ model, scaling }));
  }
}

/** What of a model lies here, for whoever removes it. */
export function scalingKeysOf(name: string): readonly Key[] {
  return [settingsKey(name), holdsKey(name)];
}

function settingsOf(item: Item): ScalingSettings {
  return scalingSettingsSchema.parse(fromStored(item));
}

function settingsKey(name: string): Key {
  return { pk: `MODEL#${name}`, sk: 'SCALING' };
}

function holdsKey(name: string): Key {
  return { pk: `MODEL#${name}`, sk: 'WARM' };
}

function listed({ pk, sk }: Key) {
  return { listing: { pk: listingOfAll, sk: `${pk.slice('MODEL#'.length)}#${sk}` } };
}
