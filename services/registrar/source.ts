import { access, lstat, mkdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { ProblemError } from '../core/errors.ts';
import { versionIdPattern } from '../core/ids.ts';
import type { LaunchSpec } from '../core/launch.ts';
import { fileFinder } from '../core/output-files.ts';
import type { BuiltVersion } from '../core/version.ts';
import { type CogYaml, parseCogYaml } from './cog-yaml.ts';
import { Collector } from './collector.ts';
import { withProgress } from './command.ts';
import { digestFolder } from './digest.ts';
import { defaultCogVersion, ensureEnvironment, environmentPath } from './environment.ts';
import { Holds } from './holds.ts';
import { maxReadmeBytes } from './limits.ts';
import { machineWarnings } from './machine-warnings.ts';
import { runtimeEnvironment } from './process-environment.ts';
import { findPython, type Python } from './python.ts';
import { deriveSchema, type ModelInterface } from './schema.ts';
import { traceEnvironment } from './trace-environment.ts';
import { unpack } from './unpack.ts';
import { newWorkPath, removeLeftovers, removeWork } from './work-folders.ts';

/** From the end of a build until its version is on record. */
const recordingMs = 60_000;

/** Told what is being done, at least every two seconds while something takes long. */
export type Progress = (message: string) => void;

export interface SourceRegistrarOptions {
  /** Where versions and environments are kept. */
  readonly home: string;
  /** Path or name of the Python to use where cog.yaml does not ask for another. */
  readonly python?: string | undefined;
  /** How long importing a model's code may take. */
  readonly importTimeoutMs?: number;
  /** Epoch ms. */
  readonly now?: () => number;
}

const recordSchema = z.object({
  id: z.string(),
  cogVersion: z.string(),
  openapiSchema: z.record(z.string(), z.json()),
  concurrency: z.int().positive(),
  warnings: z.array(z.string()),
});

/**
 * Makes versions of Cog folders and tells how to start them. On disk, under `home`:
 * `versions/<id>/src` and `version.json`, written once; `environments/<key>`, which may be deleted at any time; and `tmp`.
 */
export class SourceRegistrar {
  readonly #home: string;
  readonly #python: string | undefined;
  readonly #importTimeoutMs: number;
  readonly #now: () => number;
  readonly #holds: Holds;
  /** Removes what no model and no instance needs any more. */
  readonly collector: Collector;
  readonly #pythons = new Map<string, Promise<Python>>();

  constructor(options: SourceRegistrarOptions) {
    this.#home = options.home;
    this.#python = options.python;
    this.#importTimeoutMs = options.importTimeoutMs ?? 120_000;
    this.#now = options.now ?? Date.now;
    this.#holds = new Holds(this.#now);
    this.collector = new Collector({
      home: this.#home,
      holds: this.#holds,
      environmentOf: async (id) => {
        const sourceFolder = this.#sourceFolder(id);
        const cogYaml = await readCogYaml(sourceFolder);
        return await this.#environmentPath(
          await this.#findPython(cogYaml.pythonVersion),
          cogYaml,
          sourceFolder,
        );
      },
      now: this.#now,
    });
  }

  /**
   * Unpacks, checks and installs a model. A folder that was built before gives the version that is there.
   * @param archive a tar.gz with cog.yaml at its top
   * @throws ProblemError `invalid_model` naming file, line and mend; nothing is left behind
   */
  async build(
    archive: Readable,
    options: { readonly onProgress: Progress; readonly signal?: AbortSignal | undefined },
  ): Promise<BuiltVersion> {
    const { onProgress, signal } = options;
    const workFolder = await this.#newWorkFolder();
    const source = join(workFolder, 'src');
    const releases: (() => void)[] = [];
    try {
      await mkdir(source);
      await withProgress(onProgress, 'unpacking', () => unpack(archive, source, { signal }));
      const cogYaml = await readCogYaml(source);
      const id = await digestFolder(source, defaultCogVersion);
      const known = await this.#holds.exclusive(async () => {
        releases.push(this.#holds.hold(id, recordingMs));
        return await this.#read(id);
      });
      if (known) {
        onProgress(`nothing has changed since version ${id.slice(0, 12)} was built`);
        await this.#environment(cogYaml, this.#sourceFolder(id), onProgress, signal, releases);
        return { ...known, readme: await readReadme(source) };
      }

      const { environment, python } = await this.#environment(cogYaml, source, onProgress, signal, releases);
      const warnings = [...cogYaml.warnings, ...(await machineWarnings(cogYaml, python))];
      const model = await withProgress(
        onProgress,
        `reading the inputs and output of ${cogYaml.predictRef}`,
        () =>
          deriveSchema({
            environment,
            sourceFolder: source,
            predictRef: cogYaml.predictRef,
            trainRef: cogYaml.trainRef,
            requirementsFile: cogYaml.requirementsFile,
            env: runtimeEnvironment(environment, cogYaml, cogYaml.concurrency ?? 1),
            timeoutMs: this.#importTimeoutMs,
            signal,
          }),
      );
      const built: BuiltVersion = {
        id,
        cogVersion: model.cogVersion,
        openapiSchema: model.schema,
        concurrency: concurrencyOf(cogYaml, model),
        warnings,
      };
      await writeServedSchema(source, model.schema);
      await writeFile(join(workFolder, 'version.json'), `${JSON.stringify(built, null, 2)}\n`);
      signal?.throwIfAborted();
      const readme = await readReadme(source);
      await this.#keep(workFolder, id);
      return { ...built, readme };
    } finally {
      for (const release of releases) release();
      await removeWork(workFolder);
    }
  }

  /**
   * How to start an instance of a version. Makes its environment anew where it was deleted.
   * @throws ProblemError `not_found` where no such version was built here
   */
  async launch(
    versionId: string,
    { uploadUrl }: { readonly uploadUrl?: string | undefined } = {},
  ): Promise<LaunchSpec> {
    const built = await this.#read(versionId);
    if (!built) {
      throw new ProblemError(
        'not_found',
        `Version ${versionId} was not built on this machine; push it again`,
      );
    }
    const cwd = this.#sourceFolder(versionId);
    const cogYaml = await readCogYaml(cwd);
    // A version that is here keeps its environment.
    const { environment } = await this.#environment(cogYaml, cwd, () => {}, undefined);
    const sends = uploadUrl && built.concurrency === 1 && fileFinder(built.openapiSchema)?.isOneFile;
    return {
      command: join(environment, 'bin', 'python'),
      args: ['-m', 'cog.server.http', '--host', '127.0.0.1', ...(sends ? ['--upload-url', uploadUrl] : [])],
      env: {
        ...(await traceEnvironment(environment)),
        ...runtimeEnvironment(environment, cogYaml, built.concurrency),
      },
      cwd,
    };
  }

  /** @param releases takes what lets the environment go again; a version that is here keeps its own without */
  async #environment(
    cogYaml: CogYaml,
    sourceFolder: string,
    onProgress: Progress,
    signal: AbortSignal | undefined,
    releases?: (() => void)[],
  ): Promise<{ environment: string; python: Python }> {
    const python = await this.#findPython(cogYaml.pythonVersion);
    const path = await this.#environmentPath(python, cogYaml, sourceFolder);
    if (releases) await this.#holds.exclusive(async () => void releases.push(this.#holds.hold(path)));
    const environment = await ensureEnvironment(this.#environmentsFolder, python, cogYaml, sourceFolder, {
      onProgress,
      signal,
    });
    const usedAt = this.#now() / 1000;
    // Where others own it, it is not ours to remove either.
    await utimes(join(environment, '.complete'), usedAt, usedAt).catch(() => {});
    return { environment, python };
  }

  async #environmentPath(python: Python, cogYaml: CogYaml, sourceFolder: string): Promise<string> {
    return await environmentPath(this.#environmentsFolder, python, cogYaml, sourceFolder);
  }

  get #environmentsFolder(): string {
    return join(this.#home, 'environments');
  }

  #findPython(wanted: string | null): Promise<Python> {
    const key = wanted ?? '';
    const known = this.#pythons.get(key);
    if (known) return known;
    const finding = findPython({ wanted: wanted ?? undefined, preferred: this.#python }).catch(
      (error: Error) => {
        // Somebody may install one in the meantime.
        this.#pythons.delete(key);
        throw new ProblemError('unavailable', error.message);
      },
    );
    this.#pythons.set(key, finding);
    return finding;
  }

  #versionFolder(id: string): string {
    return join(this.#home, 'versions', id);
  }

  #sourceFolder(id: string): string {
    return join(this.#versionFolder(id), 'src');
  }

  async #read(id: string): Promise<BuiltVersion | undefined> {
    if (!versionIdPattern.test(id)) return undefined;
    try {
      return recordSchema.parse(
        JSON.parse(await readFile(join(this.#versionFolder(id), 'version.json'), 'utf8')),
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** A folder on the same file system as the versions, named for this process so that leftovers can be told. */
  async #newWorkFolder(): Promise<string> {
    const parent = join(this.#home, 'tmp');
    await mkdir(parent, { recursive: true });
    await removeLeftovers(parent);
    const folder = newWorkPath(parent, 'build');
    await mkdir(folder);
    return folder;
  }

  /** Moves a finished version to its place. Of two that build the same at once, the first wins. */
  async #keep(workFolder: string, id: string): Promise<void> {
    await mkdir(join(this.#home, 'versions'), { recursive: true });
    try {
      await rename(workFolder, this.#versionFolder(id));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
  }
}

async function readCogYaml(sourceFolder: string): Promise<CogYaml> {
  let text: string;
  try {
    text = await readFile(join(sourceFolder, 'cog.yaml'), 'utf8');
  } catch {
    throw new ProblemError(
      'invalid_model',
      'There is no cog.yaml at the top of the archive; push the folder of a model',
    );
  }
  const cogYaml = parseCogYaml(text);
  const file = cogYaml.predictRef.slice(0, cogYaml.predictRef.lastIndexOf(':'));
  // Before minutes are spent on packages.
  await access(join(sourceFolder, file)).catch(() => {
    throw new ProblemError(
      'invalid_model',
      `cog.yaml: there is no ${file} in the folder; check the name and .dockerignore`,
    );
  });
  return cogYaml;
}

/** The folder's README.md where there is one of a bearable length. */
async function readReadme(sourceFolder: string): Promise<string | null> {
  const path = join(sourceFolder, 'README.md');
  const info = await lstat(path).catch(() => undefined);
  // A link may lead out of the folder.
  return info?.isFile() && info.size <= maxReadmeBytes ? await readFile(path, 'utf8') : null;
}

function concurrencyOf(cogYaml: CogYaml, model: ModelInterface): number {
  // Cog: concurrency.max of cog.yaml goes before the decorator.
  const concurrency = cogYaml.concurrency ?? model.concurrency ?? 1;
  if (concurrency > 1 && !model.isAsync) {
    throw new ProblemError(
      'invalid_model',
      `${cogYaml.predictRef} runs ${concurrency} predictions at once only as \`async def\`; ` +
        'make it async, or take concurrency.max out of cog.yaml',
    );
  }
  return concurrency;
}

/**
 * The document that the model server reads. It offers server-sent events, by which logs and tokens are seen as they
 * come, only to predictors that are marked; so here each of them is.
 */
async function writeServedSchema(sourceFolder: string, schema: BuiltVersion['openapiSchema']): Promise<void> {
  const served = structuredClone(schema) as { paths?: Record<string, { post?: Record<string, unknown> }> };
  const post = served.paths?.['/predictions']?.post;
  if (post) post['x-cog-streaming'] = true;
  await mkdir(join(sourceFolder, '.cog'));
  await writeFile(join(sourceFolder, '.cog', 'openapi_schema.json'), JSON.stringify(served));
}
