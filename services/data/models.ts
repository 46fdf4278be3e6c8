import type { Model } from '../core/model.ts';
import { findBreakingChanges } from '../core/schema-changes.ts';
import type { Version } from '../core/version.ts';
import {
  type Condition,
  ConflictError,
  type Key,
  type Page,
  type Table,
  type WriteOp,
} from '../ports/table/port.ts';
import { scalingKeysOf } from './model-scaling.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

/** What of a model its owner may change. */
export type ModelChanges = Partial<
  Pick<Model, 'description' | 'githubUrl' | 'paperUrl' | 'licenseUrl' | 'weightsUrl' | 'hardware'>
>;

/** Models and their versions as they are stored. `name` is always the full `owner/name`. */
export class Models {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** @throws ConflictError where a model of this name exists */
  async create(model: Model): Promise<void> {
    await this.#table.write([{ op: 'put', item: modelItem(model), when: { absent: true } }]);
  }

  async get(name: string): Promise<Model | undefined> {
    const item = await this.#table.get(modelKey(name));
    return item && fromStored<Model>(item);
  }

  /** Public models by the time of their creation or of their latest version, newest first unless `ascending`. */
  async listPublic(options: {
    readonly limit: number;
    readonly cursor?: string;
    readonly ascending: boolean;
    readonly sortBy: 'model_created_at' | 'latest_version_created_at';
  }): Promise<Page<Model>> {
    const pk = options.sortBy === 'model_created_at' ? publicListing : latestListing;
    return await this.#list(pk, options);
  }

  /**
   * Private models of an owner by the time of their creation. One that was made by a release that did not list them is
   * among them from its next change or push on.
   */
  async listPrivate(
    owner: string,
    options: { readonly limit: number; readonly cursor?: string; readonly ascending: boolean },
  ): Promise<Page<Model>> {
    return await this.#list(privateListing(owner), options);
  }

  async #list(
    pk: string,
    options: { readonly limit: number; readonly cursor?: string; readonly ascending: boolean },
  ): Promise<Page<Model>> {
    const page = await this.#table.query(
      { index: 'listing', pk },
      { descending: !options.ascending, limit: options.limit, cursor: options.cursor },
    );
    const models = await Promise.all(
      page.items.map(async (item) => this.get(item.pk.slice('MODEL#'.length))),
    );
    return { items: models.filter((model) => model !== undefined), next: page.next };
  }

  /**
   * Adds a version and makes it the latest, with what of it breaks callers of the one that was. A version that is there
   * already is left as it was.
   * @param order `created`: one that was created before the latest does not take its place, as where the news of two
   * pushes overtake each other
   * @returns whether it is new
   */
  async addVersion(version: Version, order: 'added' | 'created' = 'added'): Promise<boolean> {
    for (;;) {
      if (await this.getVersion(version.model, version.id)) return false;
      const model = await this.get(version.model);
      if (!model) throw new Error(`There is no model ${version.model}`);
      const latest =
        model.latestVersion === null ? undefined : await this.getVersion(version.model, model.latestVersion);
      const isLatest = order === 'added' || !latest || latest.createdAt <= version.createdAt;
      const breakingChanges =
        isLatest && latest ? findBreakingChanges(latest.openapiSchema, version.openapiSchema) : [];
      try {
        await this.#table.write([
          {
            op: 'put',
            item: {
              ...versionKey(version.model, version.id),
              data: toStored({ ...version, ...(breakingChanges.length > 0 && { breakingChanges }) }),
              keys: {
                listing: {
                  pk: `VERSIONS#${version.model}`,
                  sk: `${timeKey(version.createdAt)}#${version.id}`,
                },
              },
            },
            when: { absent: true },
          },
          {
            op: 'put',
            item: modelItem(isLatest ? { ...model, latestVersion: version.id } : model),
            when: asRead(model),
          },
          ...(isLatest && model.visibility === 'public' ? [latestOp(version)] : []),
        ]);
        return true;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
    }
  }

  /**
   * Changes what a model says of itself.
   * @returns the model as it is now; undefined where there is none
   */
  async update(name: string, changes: ModelChanges): Promise<Model | undefined> {
    for (;;) {
      const model = await this.get(name);
      if (!model) return undefined;
      const changed = { ...model, ...changes };
      if (await this.#tryWrite([{ op: 'put', item: modelItem(changed), when: asRead(model) }]))
        return changed;
    }
  }

  /** Removes a model that has no versions. @returns whether it was there, and had none */
  async remove(name: string): Promise<boolean> {
    for (;;) {
      const model = await this.get(name);
      if (!model || model.latestVersion !== null) return false;
      const isGone = await this.#tryWrite([
        { op: 'delete', key: modelKey(name), when: asRead(model) },
        { op: 'delete', key: readmeKey(name) },
        { op: 'delete', key: runsKey(name) },
        ...scalingKeysOf(name).map((key): WriteOp => ({ op: 'delete', key })),
      ]);
      if (isGone) return true;
    }
  }

  /**
   * Removes a version. Where it was the latest, the newest of those that are left becomes it.
   * @returns whether it was there
   */
  async removeVersion(name: string, id: string): Promise<boolean> {
    for (;;) {
      const model = await this.get(name);
      if (!model || !(await this.getVersion(name, id))) return false;
      const { items } = await this.listVersions(name, { limit: 2 });
      const newest = items.find((version) => version.id !== id)?.id ?? null;
      const latestVersion = model.latestVersion === id ? newest : model.latestVersion;
      const isGone = await this.#tryWrite([
        { op: 'delete', key: versionKey(name, id), when: { present: true } },
        { op: 'put', item: modelItem({ ...model, latestVersion }), when: asRead(model) },
        { op: 'put', item: { ...deletedKey(id), data: toStored({}) } },
      ]);
      if (isGone) return true;
    }
  }

  /** Markdown; undefined where none was given. */
  async readme(name: string): Promise<string | undefined> {
    const item = await this.#table.get(readmeKey(name));
    return typeof item?.data.text === 'string' ? item.data.text : undefined;
  }

  /** @param text Markdown that fits an item; null removes it */
  async setReadme(name: string, text: string | null): Promise<void> {
    const key = readmeKey(name);
    const op: WriteOp =
      text === null ? { op: 'delete', key } : { op: 'put', item: { ...key, data: toStored({ text }) } };
    await this.#table.write([op]);
  }

  async #tryWrite(ops: readonly WriteOp[]): Promise<boolean> {
    try {
      await this.#table.write(ops);
      return true;
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
  }

  async getVersion(model: string, id: string): Promise<Version | undefined> {
    const item = await this.#table.get(versionKey(model, id));
    return item && fromStored<Version>(item);
  }

  /** The same content may have been pushed to several models. */
  async versionsOfId(id: string): Promise<readonly Version[]> {
    const { items } = await this.#table.query({ pk: `VERSION#${id}` }, { limit: 100 });
    return items.map((item) => fromStored<Version>(item));
  }

  /** Whether a model has a version of this id; else whether one had it that was deleted since. */
  async fateOfVersion(id: string): Promise<'named' | 'deleted' | 'unknown'> {
    const { items } = await this.#table.query({ pk: `VERSION#${id}` }, { limit: 1 });
    if (items.length > 0) return 'named';
    return (await this.#table.get(deletedKey(id))) ? 'deleted' : 'unknown';
  }

  /** Versions of a model, newest first. */
  async listVersions(
    model: string,
    options: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<Version>> {
    const page = await this.#table.query(
      { index: 'listing', pk: `VERSIONS#${model}` },
      { descending: true, limit: options.limit, cursor: options.cursor },
    );
    return { items: page.items.map((item) => fromStored<Version>(item)), next: page.next };
  }

  /** How often a model has been run to an end. */
  async runCount(name: string): Promise<number> {
    const item = await this.#table.get(runsKey(name));
    return typeof item?.data.count === 'number' ? item.data.count : 0;
  }
}

/** Counts runs of a model that have come to an end. */
export function runCountOp(model: string, runs: number): WriteOp {
  return { op: 'add', key: runsKey(model), amounts: { count: runs } };
}

function runsKey(name: string): Key {
  return { pk: `MODEL#${name}`, sk: 'RUNS' };
}

/** Holds while a model is as it was read: of two changes at once, none undoes the other. */
function asRead(model: Model): Condition {
  return { equals: model };
}

function readmeKey(name: string): Key {
  return { pk: `MODEL#${name}`, sk: 'README' };
}

const publicListing = 'MODELS#public';
const latestListing = 'MODELS#public#latest';

function privateListing(owner: string): string {
  return `MODELS#private#${owner}`;
}

/** Keeps a public model's place among the latest pushed ones. */
function latestOp(version: Version): WriteOp {
  const listing = { pk: latestListing, sk: `${timeKey(version.createdAt)}#${version.model}` };
  return {
    op: 'put',
    item: { pk: `MODEL#${version.model}`, sk: 'LATEST', data: toStored({}), keys: { listing } },
  };
}

function modelKey(name: string): Key {
  return { pk: `MODEL#${name}`, sk: 'MODEL' };
}

function versionKey(model: string, id: string): Key {
  return { pk: `VERSION#${id}`, sk: model };
}

/** Says that a version was deleted, for whoever keeps its files. */
function deletedKey(id: string): Key {
  return { pk: `DELETED#${id}`, sk: 'VERSION' };
}

function modelItem(model: Model) {
  const name = `${model.owner}/${model.name}`;
  const pk = model.visibility === 'public' ? publicListing : privateListing(model.owner);
  const listing = { pk, sk: `${timeKey(model.createdAt)}#${name}` };
  return { ...modelKey(name), data: toStored(model), keys: { listing } };
}
