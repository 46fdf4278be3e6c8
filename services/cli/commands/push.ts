import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { Command } from 'commander';
import { Agent, fetch } from 'undici';
import { ProblemError } from '../../core/errors.ts';
import { gpuMemoryGbSchema } from '../../core/version.ts';
import { type PackedFolder, packFolder } from '../../registrar/pack.ts';
import {
  hardwareAnswer,
  modelAnswer,
  type ProblemAnswer,
  type PushLine,
  pushLine,
  type RegistryAnswer,
  registryAnswer,
  type VersionAnswer,
} from '../answers.ts';
import { ApiError, type Client, refusal } from '../client.ts';
import { CliError, usageError } from '../failure.ts';
import { exampleRun, modelInterface } from '../model-interface.ts';
import { Progress, print, say } from '../terminal.ts';
import { readModelName } from './model-name.ts';
import { type CogFolder, checkImagePush, pushImage } from './push-image.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

interface PushOptions extends ServerOptions {
  readonly hardware?: string;
  readonly gpuMemory?: number;
  readonly public?: boolean;
  readonly json?: boolean;
}

/** `mimeo push`: sends a Cog folder to a server, or an image that Cog makes of it; it becomes a version. */
export function pushCommand(signal: AbortSignal): Command {
  const command = new Command('push')
    .description(
      'Push a Cog folder as a new version of a model. The model is created if it is not there yet.',
    )
    .argument('<dir>', 'the folder with cog.yaml')
    .argument('<owner/name>', 'the model')
    .option('--hardware <sku>', 'what a new model runs on (default: cpu)')
    .option(
      '--gpu-memory <gb>',
      'GPU memory that one instance needs; hardware with less is refused',
      readGigabytes,
    )
    .option('--public', 'let everybody on the server run a new model (default: only you)')
    .option('--json', 'print the version as JSON on stdout');
  return addServerOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ npx mimeo push . local/my-model
  $ npx mimeo push my-model local/my-model --hardware gpu-t4 --public
  $ npx mimeo push my-model local/my-model --gpu-memory 40
  $ npx mimeo push . local/my-model --json | jq -r .id`,
    )
    .action((dir: string, model: string, options: PushOptions) => push(dir, model, options, signal));
}

async function push(dir: string, model: string, options: PushOptions, signal: AbortSignal): Promise<void> {
  const { owner, name } = readModelName(model);
  await checkFolder(dir);
  const client = await connect(options);
  const registry = await readRegistry(client, signal);
  const folder = { dir, owner, name, gpuMemoryGb: options.gpuMemory };
  const image = registry.accepts === 'image' ? folder : undefined;
  if (image) await checkImagePush(image, signal);
  const progress = new Progress(0);
  try {
    await ensureModel(client, owner, name, options, signal);
    const { created, version } = image
      ? await pushImage(client, image, progress, signal)
      : await pushFolder(client, folder, registry.max_source_bytes, progress, signal);
    progress.stop();
    if (options.json) print(JSON.stringify(version, null, 2));
    tell(`${owner}/${name}`, version, created);
  } finally {
    progress.stop();
  }
}

async function pushFolder(
  client: Client,
  { dir, owner, name, gpuMemoryGb }: CogFolder,
  maxBytes: number | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<{ created: boolean; version: VersionAnswer }> {
  progress.update('packing the folder');
  const folder = await pack(dir, maxBytes);
  progress.update(`sending ${folder.files} files (${formatSize(folder.bytes)})`);
  const query = gpuMemoryGb === undefined ? '' : `?gpu_memory_gb=${gpuMemoryGb}`;
  const lines = upload(client, `/models/${owner}/${name}/versions${query}`, folder.stream, signal);
  return await readVersion(lines, progress);
}

function tell(model: string, version: VersionAnswer, created: boolean): void {
  say(`${created ? 'New version' : 'This version was there already'}: ${model}:${version.id}`);
  if (created && version.breaking_changes?.length) {
    say('It breaks callers of the version before it:');
    for (const change of version.breaking_changes) say(`  ${change}`);
  }
  say(`Run it:\n  ${exampleRun(model, modelInterface(version))}`);
}

async function checkFolder(dir: string): Promise<void> {
  const [folder, cogYaml] = await Promise.all([
    stat(dir).catch(() => undefined),
    stat(resolve(dir, 'cog.yaml')).catch(() => undefined),
  ]);
  if (!folder?.isDirectory()) throw usageError(`There is no folder ${dir}.`);
  if (!cogYaml) throw usageError(`${dir} has no cog.yaml. Start a model with: npx mimeo init ${dir}`);
}

async function pack(dir: string, maxBytes: number | undefined): Promise<PackedFolder> {
  try {
    return await packFolder(dir, maxBytes);
  } catch (error) {
    throw error instanceof ProblemError ? new CliError(`${dir} cannot be pushed: ${error.message}`) : error;
  }
}

/** What the server takes: folders, of at most so many bytes, or images. */
async function readRegistry(client: Client, signal: AbortSignal): Promise<RegistryAnswer> {
  return await client.call('GET', '/registry', registryAnswer, { signal }).catch((error) => {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    throw usageError(`${client.server.url} takes no pushes. Is the URL that of a Mimeo server?`);
  });
}

async function ensureModel(
  client: Client,
  owner: string,
  name: string,
  options: PushOptions,
  signal: AbortSignal,
): Promise<void> {
  const there = await client
    .call('GET', `/models/${owner}/${name}`, modelAnswer, { signal })
    .catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    });
  if (there) {
    if (options.hardware || options.public) {
      say(`${owner}/${name} is there already: --hardware and --public count for new models only.`);
    }
    return;
  }
  const visibility = options.public ? 'public' : 'private';
  const hardware = options.hardware ?? (await hardwareFor(client, options.gpuMemory, signal));
  const json = { owner, name, visibility, hardware };
  await client.call('POST', '/models', modelAnswer, { json, signal });
  say(`Created the ${visibility} model ${owner}/${name} on ${json.hardware}.`);
}

/** What a new model runs on where nobody says: the first that holds it. */
async function hardwareFor(
  client: Client,
  gpuMemoryGb: number | undefined,
  signal: AbortSignal,
): Promise<string> {
  if (gpuMemoryGb === undefined) return 'cpu';
  const all = await client.call('GET', '/hardware', hardwareAnswer, { signal });
  const holding = all.find(({ gpu }) => gpu && gpu.memory_gb * gpu.count >= gpuMemoryGb);
  if (holding) return holding.sku;
  throw usageError(`${client.server.url} has no hardware with ${gpuMemoryGb} GB of GPU memory.`);
}

function readGigabytes(text: string): number {
  const checked = gpuMemoryGbSchema.safeParse(text.trim() === '' ? Number.NaN : Number(text));
  if (checked.success) return checked.data;
  throw usageError(`--gpu-memory takes gigabytes, such as 24, not "${text}".`);
}

/** Sends the packed folder and gives the lines of the answer as they come. */
async function* upload(
  client: Client,
  path: string,
  body: Readable,
  signal: AbortSignal,
): AsyncGenerator<PushLine> {
  // Installing a model's packages can be silent for longer than fetch's own five minutes.
  let unpacked: Error | undefined;
  body.once('error', (error) => {
    unpacked = error;
  });
  const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  try {
    const response = await fetch(client.url(path), {
      method: 'POST',
      headers: { ...client.headers, 'content-type': 'application/gzip', accept: 'application/x-ndjson' },
      body,
      duplex: 'half',
      dispatcher,
      signal,
    });
    if (!response.ok || !response.body) {
      throw refusal(client.server.url, response.status, await response.text());
    }
    for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
      if (line.trim()) yield readLine(line);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw unpacked
      ? new CliError(`The folder could not be read: ${unpacked.message}`)
      : client.explain(error);
  } finally {
    body.destroy();
    await dispatcher.destroy();
  }
}

function readLine(line: string): PushLine {
  try {
    return pushLine.parse(JSON.parse(line));
  } catch {
    throw new CliError(
      `The server answered the push with something unexpected: ${line.slice(0, 200)}. ` +
        'Are mimeo and the server of the same release?',
    );
  }
}

async function readVersion(
  lines: AsyncIterable<PushLine>,
  progress: Progress,
): Promise<Extract<PushLine, { type: 'version' }>> {
  let version: Extract<PushLine, { type: 'version' }> | undefined;
  for await (const line of lines) {
    if (line.type === 'progress') progress.update(line.message);
    if (line.type === 'warning') progress.print(`Warning: ${line.message}\n`);
    if (line.type === 'version') version = line;
    if (line.type === 'problem') throw new CliError(describeProblem(line.problem));
  }
  if (version) return version;
  throw new CliError('The connection ended before the server had made the version. Push again: it is safe.');
}

function describeProblem({ title, detail }: ProblemAnswer): string {
  return `The push was refused: ${detail ?? title ?? 'the server gave no reason.'}`;
}

function formatSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
