import { ProblemError } from '../core/errors.ts';
import { versionIdPattern } from '../core/ids.ts';
import { compileInput, type InputContract } from '../core/input.ts';
import type { Model } from '../core/model.ts';
import { remember } from '../core/remembered.ts';
import type { Version } from '../core/version.ts';
import type { Models } from '../data/models.ts';

/** Versions that are kept at hand with their compiled schemas. They never change, so they never go stale. */
const cachedVersions = 500;

/** For how long a version that is named by its id is run under the model's settings as they were. */
const freshMs = 1000;

/** A version, with the model that it is used through and what it takes. */
export interface Runnable {
  readonly model: Model;
  readonly version: Version;
  readonly contract: InputContract;
}

/** Finds models and versions as one account may see them: what is another's and private is not there. */
export class Catalogue {
  readonly #models: Models;
  readonly #cache = new Map<string, Pick<Runnable, 'version' | 'contract'>>();
  readonly #recent = new Map<string, { readonly model: Model; readonly readAt: number }>();
  /** By account and version id: the model of the account's own that the id alone stands for. */
  readonly #ownModels = new Map<string, string>();

  constructor(models: Models) {
    this.#models = models;
  }

  /** @throws ProblemError `not_found` */
  async model(name: string, account: string): Promise<Model> {
    const model = await this.#models.get(name);
    if (!model || !mayRead(model, account)) throw notFound(`There is no model ${name}.`);
    if (this.#recent.size >= cachedVersions) this.#recent.clear();
    this.#recent.set(name, { model, readAt: performance.now() });
    return model;
  }

  /** What the model says may be a moment old: the version that was asked for is the same. @throws ProblemError `not_found` */
  async version(name: string, id: string, account: string): Promise<Runnable> {
    const recent = this.#recent.get(name);
    const isFresh = recent !== undefined && performance.now() - recent.readAt < freshMs;
    const model = isFresh && mayRead(recent.model, account) ? recent.model : await this.model(name, account);
    const known = await this.#load(name, id);
    if (!known) throw notFound(`The model ${name} has no version ${id}.`);
    return { model, ...known };
  }

  /** The version that `owner/name` alone stands for. @throws ProblemError `not_found` */
  async latest(name: string, account: string): Promise<Runnable> {
    const model = await this.model(name, account);
    const known = model.latestVersion === null ? undefined : await this.#load(name, model.latestVersion);
    if (!known) throw notFound(`The model ${name} has no version yet. Push one: npx mimeo push DIR ${name}`);
    return { model, ...known };
  }

  /**
   * Resolves the three spellings of a version: its id, `owner/name:id` and `owner/name`.
   * @throws ProblemError `not_found`, or `invalid_body` where it is none of the three
   */
  async resolve(spelling: string, account: string): Promise<Runnable> {
    const match = /^(?:([^/:]+\/[^/:]+)(?::([0-9a-f]{64}))?|([0-9a-f]{64}))$/.exec(spelling);
    const [, name, id, bareId] = match ?? [];
    if (bareId !== undefined) return await this.#byId(bareId, account);
    if (name === undefined)
      throw new ProblemError('invalid_body', `- version: ${malformedVersion(spelling)}`);
    return id === undefined ? await this.latest(name, account) : await this.version(name, id, account);
  }

  /** The same content may belong to several models: the account's own is taken first, then the oldest. */
  async #byId(id: string, account: string): Promise<Runnable> {
    // No model that comes later goes before the oldest of one's own.
    const key = `${account}:${id}`;
    const own = this.#ownModels.get(key);
    if (own !== undefined) return await this.version(own, id, account);
    const versions = await this.#models.versionsOfId(id);
    const candidates = await Promise.all(
      versions.map(async (version) => ({ version, model: await this.#models.get(version.model) })),
    );
    const readable = candidates.flatMap(({ version, model }) =>
      model && mayRead(model, account) ? [{ version, own: model.account === account }] : [],
    );
    readable.sort((a, b) => Number(b.own) - Number(a.own) || a.version.createdAt - b.version.createdAt);
    const [first] = readable;
    if (!first) throw notFound(`There is no version ${id}.`);
    if (first.own) remember(this.#ownModels, key, first.version.model, cachedVersions);
    return await this.version(first.version.model, id, account);
  }

  /** Only the account that owns it may change a model. @throws ProblemError `not_found` or `forbidden` */
  async owned(name: string, account: string): Promise<Model> {
    const model = await this.model(name, account);
    if (model.account === account) return model;
    throw new ProblemError('forbidden', `${name} belongs to ${model.account}; only its owner may change it.`);
  }

  /** Lets go of a model that was changed; other processes run it as it was for another moment. */
  forgetModel(name: string): void {
    this.#recent.delete(name);
  }

  /** Lets go of a version that was deleted; other processes may run it for as long as they have it at hand. */
  forget(model: string, id: string): void {
    this.#cache.delete(`${model}:${id}`);
    this.#ownModels.clear();
  }

  async #load(model: string, id: string): Promise<Pick<Runnable, 'version' | 'contract'> | undefined> {
    const key = `${model}:${id}`;
    const cached = this.#cache.get(key);
    if (cached) return cached;
    const version = versionIdPattern.test(id) ? await this.#models.getVersion(model, id) : undefined;
    if (!version) return undefined;
    const loaded = { version, contract: compileInput(version) };
    remember(this.#cache, key, loaded, cachedVersions);
    return loaded;
  }
}

function mayRead(model: Model, account: string): boolean {
  return model.visibility === 'public' || model.account === account;
}

function malformedVersion(spelling: string): string {
  return `${JSON.stringify(spelling.slice(0, 200))} is not a version id (64 hex digits), owner/name:id or owner/name`;
}

function notFound(detail: string): ProblemError {
  return new ProblemError('not_found', detail);
}
