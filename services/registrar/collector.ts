import { access, lstat, readdir, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { versionIdPattern } from '../core/ids.ts';
import type { Holds } from './holds.ts';
import { newWorkPath, removeLeftovers, removeWork } from './work-folders.ts';

/** An environment that belongs to no version is kept for so long after its last use: a build that failed is tried again. */
const unusedMs = 24 * 3600_000;
/** How often such environments are looked for. */
const searchMs = 3600_000;

/** What the collector asks of those who know. */
export interface Uses {
  /** Whether a model has this version, or one had it and it was deleted; unknown is one that was never on record. */
  readonly fateOf: (versionId: string) => Promise<'named' | 'deleted' | 'unknown'>;
  /** Whether anything runs from it, or is about to. */
  readonly isInUse: (versionId: string) => Promise<boolean>;
}

export interface Collected {
  /** Ids of versions that were removed. */
  readonly versions: readonly string[];
  /** Names of environments that were removed. */
  readonly environments: readonly string[];
  /** Why something is still there. */
  readonly failures: readonly Error[];
}

/**
 * Removes versions that no model has any more from a registrar's home, and environments that no version uses. What
 * goes is first moved out of its place, in one step, so that nobody ever meets half of it, and then removed; the next
 * call ends what a death in between has left.
 */
export class Collector {
  readonly #home: string;
  readonly #holds: Holds;
  readonly #environmentOf: (versionId: string) => Promise<string>;
  readonly #now: () => number;
  /** Versions that are known to have been on record. */
  readonly #named = new Set<string>();
  /** Environments of versions that are gone. */
  readonly #suspects = new Set<string>();
  #searchedAt = Number.NEGATIVE_INFINITY;
  #failures: Error[] = [];

  /** @param parts.environmentOf the folder of a version's environment, whether it is there or not */
  constructor(parts: {
    readonly home: string;
    readonly holds: Holds;
    readonly environmentOf: (versionId: string) => Promise<string>;
    readonly now: () => number;
  }) {
    this.#home = parts.home;
    this.#holds = parts.holds;
    this.#environmentOf = parts.environmentOf;
    this.#now = parts.now;
  }

  /** What could not be removed is out of its place, is tried again by the next call, and keeps nothing else from going. */
  async collect(uses: Uses): Promise<Collected> {
    this.#failures = [];
    for (const folder of ['tmp', 'versions']) await this.#removeLeftovers(join(this.#home, folder));
    const versions: string[] = [];
    for (const id of await this.#versionIds()) {
      if (await this.#collectVersion(id, uses)) versions.push(id);
      // Where requests are served by the same thread, they come in between.
      await turn();
    }
    return { versions, environments: await this.#collectEnvironments(), failures: this.#failures };
  }

  async #removeLeftovers(folder: string): Promise<void> {
    this.#failures.push(...(await removeLeftovers(folder)));
  }

  async #remove(trash: string): Promise<void> {
    await removeWork(trash).catch((error: Error) => this.#failures.push(error));
  }

  async #versionIds(): Promise<readonly string[]> {
    const names = await readdir(join(this.#home, 'versions')).catch(emptyWhereAbsent);
    return names.filter((name) => versionIdPattern.test(name));
  }

  async #collectVersion(id: string, { fateOf, isInUse }: Uses): Promise<boolean> {
    const mayGo = async () => {
      const fate = await fateOf(id);
      if (fate === 'named') await this.#noteNamed(id);
      return fate === 'deleted' || (fate === 'unknown' && !(await this.#wasNamed(id)));
    };
    // Most are kept; only what seems to be gone is looked at while others wait.
    if (!(await mayGo())) return false;
    const environment = await this.#environmentOf(id).catch(() => undefined);
    const trash = await this.#holds.exclusive(async () => {
      if (this.#holds.has(id) || !(await mayGo()) || (await isInUse(id))) return undefined;
      return await this.#moveAway(join(this.#home, 'versions', id));
    });
    if (trash === undefined) return false;
    this.#named.delete(id);
    if (environment !== undefined) this.#suspects.add(environment);
    await this.#remove(trash);
    return true;
  }

  /**
   * A version that was on record and is unknown now was not deleted: the database is another one, perhaps until a backup
   * takes its place. A build that was cut short was never on record.
   */
  async #wasNamed(id: string): Promise<boolean> {
    return await access(this.#namedFile(id)).then(
      () => true,
      () => false,
    );
  }

  async #noteNamed(id: string): Promise<void> {
    if (this.#named.has(id)) return;
    // A disk that is full is no reason to free none of it.
    await writeFile(this.#namedFile(id), '').then(
      () => this.#named.add(id),
      (error: Error) => this.#failures.push(error),
    );
  }

  #namedFile(id: string): string {
    return join(this.#home, 'versions', id, 'named');
  }

  async #collectEnvironments(): Promise<readonly string[]> {
    const folder = join(this.#home, 'environments');
    // Where it is a link, others may use what it leads to.
    if (!(await lstat(folder).catch(() => undefined))?.isDirectory()) return [];
    await this.#removeLeftovers(folder);
    if (this.#now() - this.#searchedAt >= searchMs) {
      this.#searchedAt = this.#now();
      for (const path of await this.#longUnused(folder)) this.#suspects.add(path);
    }
    const removed: string[] = [];
    const used = this.#suspects.size > 0 ? await this.#environmentsInUse() : undefined;
    if (!used) return removed;
    for (const path of [...this.#suspects]) {
      if (used.has(path)) this.#suspects.delete(path);
      else if (await this.#collectEnvironment(path)) removed.push(basename(path));
    }
    return removed;
  }

  async #collectEnvironment(path: string): Promise<boolean> {
    const trash = await this.#holds.exclusive(async () => {
      const used = this.#holds.has(path) ? undefined : await this.#environmentsInUse();
      if (!used) return undefined;
      this.#suspects.delete(path);
      return used.has(path) ? undefined : await this.#moveAway(path);
    });
    if (trash === undefined) return false;
    await this.#remove(trash);
    return true;
  }

  async #longUnused(folder: string): Promise<readonly string[]> {
    const found: string[] = [];
    for (const name of await readdir(folder)) {
      if (name.endsWith('.lock')) continue;
      const path = join(folder, name);
      const usedAt = (await lstat(join(path, '.complete')).catch(() => lstat(path))).mtimeMs;
      if (this.#now() - usedAt >= unusedMs) found.push(path);
    }
    return found;
  }

  /** undefined where it cannot be told of each version, such as one whose Python is not there any more. */
  async #environmentsInUse(): Promise<ReadonlySet<string> | undefined> {
    const ids = await this.#versionIds();
    return await Promise.all(ids.map(this.#environmentOf)).then(
      (paths) => new Set(paths),
      () => undefined,
    );
  }

  /** @returns where it is now; undefined where it was not there */
  async #moveAway(path: string): Promise<string | undefined> {
    // Beside it, where a rename is one step also if its folder is a file system of its own.
    const trash = newWorkPath(dirname(path), 'trash');
    try {
      await rename(path, trash);
      return trash;
    } catch (error) {
      await removeWork(trash);
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function emptyWhereAbsent(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}
