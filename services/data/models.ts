import type { Model } from '../core/model.ts';
import type { Version } from '../core/version.ts';
import { ConflictError, type Key, type Page, type Table, type WriteOp } from '../ports/table/port.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

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
   * Adds a version and makes it the latest. A version that is there already is left as it was.
   * @returns whether it is new
   */
  async addVersion(version: Version): Promise<boolean> {
    for (;;) {
      if (await this.getVersion(version.model, version.id)) return false;
      const model = await this.get(version.model);
      if (!model) throw new Error(`There is no model ${version.model}`);
      try {
        await this.#table.write([
          {
            op: 'put',
            item: {
              ...versionKey(version.model, version.id),
              data: toStored(version),
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
            item: modelItem({ ...model, latestVersion: version.id }),
            when: { equals: { latestVersion: model.latestVersion } },
          },
          ...(model.visibility === 'public' ? [latestOp(version)] : []),
        ]);
        return true;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
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
    const item = await this.#table.get({ pk: `MODEL#${name}`, sk: 'RUNS' });
    return typeof item?.data.count === 'number' ? item.data.count : 0;
  }
}

const publicListing = 'MODELS#public';
const latestListing = 'MODELS#public#latest';

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

function modelItem(model: Model) {
  const name = `${model.owner}/${model.name}`;
  const listing = { pk: publicListing, sk: `${timeKey(model.createdAt)}#${name}` };
  return {
    ...modelKey(name),
    data: toStored(model),
    keys: model.visibility === 'public' ? { listing } : {},
  };
}
