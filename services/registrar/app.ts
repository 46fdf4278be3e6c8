import type { Logger } from 'pino';
import { HardwareCatalogue } from '../core/hardware.ts';
import { nameSchema } from '../core/model.ts';
import type { Version } from '../core/version.ts';
import { Accounts } from '../data/accounts.ts';
import { Models } from '../data/models.ts';
import { Pushes } from '../data/pushes.ts';
import { ConflictError, type Table } from '../ports/table/port.ts';
import {
  type CogImage,
  ImageRefusal,
  ourPlatform,
  readCogLabels,
  readConfig,
  readManifest,
} from './image.ts';
import type { Registry } from './registry.ts';

/** What a model that is made by its first push runs on, unless its owner makes it before; or the first that holds it. */
const firstHardware = { cpu: 'cpu', gpu: 'gpu-t4' } as const;

const catalogue = new HardwareCatalogue();

/** An image, or an index of several, that a registry has taken. */
export interface PushedImage {
  readonly repository: string;
  /** `sha256:…` */
  readonly digest: string;
  readonly tag: string | null;
  /** Epoch milliseconds. */
  readonly pushedAt: number;
}

/** What became of a push. `ignored`: it is no model's image, or a part of one that comes with it. */
export type PushOutcome =
  | { readonly outcome: 'ignored' }
  | { readonly outcome: 'refused'; readonly model: string; readonly reason: string }
  | {
      readonly outcome: 'registered';
      readonly model: string;
      readonly version: string;
      readonly created: boolean;
    };

interface Parts {
  readonly table: Table;
  readonly registry: Registry;
  /** What the names of models' repositories begin with: `PREFIX/OWNER/NAME`. */
  readonly prefix: string;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Makes versions of the images that are pushed. */
export class ImageRegistrar {
  readonly #parts: Parts;
  readonly #models: Models;
  readonly #accounts: Accounts;
  readonly #pushes: Pushes;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#models = new Models(parts.table);
    this.#accounts = new Accounts(parts.table);
    this.#pushes = new Pushes(parts.table);
  }

  /**
   * Adds the version that a pushed image is, and notes what became of the push. A push that is handled twice is one
   * version.
   * @throws Error where the registry or the table cannot be reached: to be tried again
   */
  async handle(push: PushedImage): Promise<PushOutcome> {
    const outcome = await this.#outcomeOf(push);
    if (outcome.outcome !== 'ignored') await this.#note(push, outcome);
    const { repository, digest, tag } = push;
    this.#parts.logger.info({ repository, digest, tag, ...outcome }, 'an image was pushed');
    return outcome;
  }

  async #outcomeOf(push: PushedImage): Promise<PushOutcome> {
    const model = this.#modelOf(push.repository);
    if (model === undefined) return { outcome: 'ignored' };
    try {
      const image = await this.#read(push);
      if (image === undefined) return { outcome: 'ignored' };
      await this.#ensureModel(model, image.cog);
      const { wantsGpu: _wantsGpu, ...cog } = image.cog;
      const version: Version = {
        ...cog,
        id: image.digest.slice('sha256:'.length),
        model: `${model.owner}/${model.name}`,
        createdAt: push.pushedAt,
        image: await this.#parts.registry.reference(push.repository, image.digest),
      };
      const created = await this.#models.addVersion(version, 'created');
      return { outcome: 'registered', model: version.model, version: version.id, created };
    } catch (error) {
      if (!(error instanceof ImageRefusal)) throw error;
      return { outcome: 'refused', model: `${model.owner}/${model.name}`, reason: error.message };
    }
  }

  /** @returns undefined where the repository is no model's */
  #modelOf(repository: string): { readonly owner: string; readonly name: string } | undefined {
    const { prefix } = this.#parts;
    if (!repository.startsWith(`${prefix}/`)) return undefined;
    const [owner, name, ...more] = repository.slice(prefix.length + 1).split('/');
    if (more.length > 0 || !nameSchema.safeParse(owner).success || !nameSchema.safeParse(name).success)
      return undefined;
    return { owner: owner ?? '', name: name ?? '' };
  }

  /**
   * What is pushed for our platform.
   * @returns undefined where there is nothing to be a version: an artefact, or another platform's part of an index
   */
  async #read(push: PushedImage): Promise<{ readonly digest: string; readonly cog: CogImage } | undefined> {
    const { registry } = this.#parts;
    const { repository } = push;
    let { digest } = push;
    let manifest = readManifest(await registry.manifest(repository, digest));
    if (manifest.kind === 'index') {
      if (manifest.image === undefined) throw otherPlatforms(manifest.platforms);
      digest = manifest.image;
      manifest = readManifest(await registry.manifest(repository, digest));
    }
    if (manifest.kind !== 'image') return undefined;
    const { platform, labels } = readConfig(await registry.config(repository, manifest.config));
    if (platform !== ourPlatform) {
      // The images of an index are pushed before it and without a tag: of those, only ours counts.
      if (push.tag === null || platform === 'unknown/unknown') return undefined;
      throw otherPlatforms([platform]);
    }
    return { digest, cog: readCogLabels(labels) };
  }

  /** An account's push makes its model, as `cog push` by hand has nothing else that would. */
  async #ensureModel(of: { readonly owner: string; readonly name: string }, image: CogImage): Promise<void> {
    const { owner, name } = of;
    const there = await this.#models.get(`${owner}/${name}`);
    const hardware = there?.hardware ?? hardwareFor(image);
    const tooSmall = catalogue.whyTooSmall(hardware, image.gpuMemoryGb);
    if (tooSmall !== undefined)
      throw new ImageRefusal(`${owner}/${name} runs on ${hardware}, which cannot hold it. ${tooSmall}`);
    if (there) return;
    if (!(await this.#accounts.get(owner)))
      throw new ImageRefusal(`There is no account ${owner}. Push to a repository of your own account.`);
    const model = {
      owner,
      name,
      account: owner,
      visibility: 'private',
      hardware,
      description: null,
      githubUrl: null,
      paperUrl: null,
      licenseUrl: null,
      coverImageUrl: null,
      createdAt: this.#parts.now(),
      latestVersion: null,
    } as const;
    await this.#models.create(model).catch((error: unknown) => {
      // Its owner was faster.
      if (!(error instanceof ConflictError)) throw error;
    });
  }

  async #note(push: PushedImage, outcome: Exclude<PushOutcome, { outcome: 'ignored' }>): Promise<void> {
    await this.#pushes.record({
      model: outcome.model,
      digest: push.digest,
      tag: push.tag,
      pushedAt: push.pushedAt,
      version: outcome.outcome === 'registered' ? outcome.version : null,
      reason: outcome.outcome === 'refused' ? outcome.reason : null,
    });
  }
}

function otherPlatforms(platforms: readonly string[]): ImageRefusal {
  const known = [...new Set(platforms)].filter((platform) => /^[\w./-]{1,40}$/.test(platform)).slice(0, 10);
  return new ImageRefusal(
    `It is for ${known.join(', ') || 'another platform'} and models run on ${ourPlatform}. ` +
      `Build it with cog push, or with docker build --platform ${ourPlatform}.`,
  );
}

/** The one that it is likely to want, or else the first of the catalogue that holds it. */
function hardwareFor({ wantsGpu, gpuMemoryGb }: CogImage): string {
  const likely = wantsGpu ? firstHardware.gpu : firstHardware.cpu;
  if (gpuMemoryGb === undefined || catalogue.whyTooSmall(likely, gpuMemoryGb) === undefined) return likely;
  return catalogue.holding(gpuMemoryGb)[0]?.sku ?? likely;
}
