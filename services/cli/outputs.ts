import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { CliError, usageError } from './failure.ts';
import { extensionOf } from './media-types.ts';
import { alternatives, type ModelInterface, type Schema } from './model-interface.ts';

/** The longest that one output file may take to arrive. */
const downloadTimeoutMs = 30 * 60_000;

/** Where output goes: a folder, in which names are chosen, or one file. */
export type Destination = { readonly folder: string } | { readonly file: string };

/**
 * Reads `--output`: a folder if there is one of that name or it ends in a slash, else a file.
 * @throws CliError where the folder to write to does not exist
 */
export async function readDestination(path: string): Promise<Destination> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return { folder: path };
  if (path.endsWith('/')) {
    await mkdir(path, { recursive: true });
    return { folder: path };
  }
  const parent = await stat(dirname(path)).catch(() => undefined);
  if (!parent?.isDirectory()) throw usageError(`--output ${path}: there is no folder ${dirname(path)}`);
  return { file: path };
}

/** Whether a version puts out files. */
export function givesFiles(model: ModelInterface | undefined): boolean {
  return model !== undefined && holdsFile(model, model.output);
}

function holdsFile(model: ModelInterface, schema: Schema): boolean {
  return alternatives(model, schema).some((option) => {
    if (option.format === 'uri') return true;
    if (option.type === 'array') return holdsFile(model, model.resolve(option.items));
    return Object.values(properties(option)).some((part) => holdsFile(model, model.resolve(part)));
  });
}

/**
 * Saves every file of an output and gives the output back with the files' paths in their places.
 * Files that are in the way are never overwritten, but for the one that `--output` names.
 */
export async function saveFiles(
  output: unknown,
  model: ModelInterface,
  destination: Destination,
  signal: AbortSignal,
): Promise<{ output: unknown; paths: string[] }> {
  const paths: string[] = [];

  async function walk(value: unknown, schema: Schema): Promise<unknown> {
    const options = alternatives(model, schema);
    if (typeof value === 'string') {
      if (!options.some(({ format }) => format === 'uri') || !/^(https?|data):/.test(value)) return value;
      const path = await save(value, destination, paths.length, signal);
      paths.push(path);
      return path;
    }
    if (Array.isArray(value)) {
      const items = model.resolve(options.find(({ type }) => type === 'array')?.items);
      const saved: unknown[] = [];
      for (const item of value) saved.push(await walk(item, items));
      return saved;
    }
    if (typeof value === 'object' && value !== null) {
      const parts = properties(options.find((option) => option.properties) ?? {});
      const saved: Record<string, unknown> = {};
      for (const [key, part] of Object.entries(value))
        saved[key] = await walk(part, model.resolve(parts[key]));
      return saved;
    }
    return value;
  }

  return { output: await walk(output, model.output), paths };
}

async function save(uri: string, to: Destination, index: number, signal: AbortSignal): Promise<string> {
  const { bytes, mediaType } = await download(uri, signal);
  if ('file' in to) {
    const path = index === 0 ? to.file : numbered(to.file, index);
    await writeFile(path, bytes);
    return path;
  }
  return writeNew(join(to.folder, fileName(uri, mediaType)), bytes);
}

/** Writes a file that was not there before, under the next free name. */
export async function writeNew(wanted: string, bytes: Uint8Array | string): Promise<string> {
  for (let index = 0; ; index += 1) {
    const path = index === 0 ? wanted : numbered(wanted, index);
    try {
      await writeFile(path, bytes, { flag: 'wx' });
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function numbered(path: string, index: number): string {
  const extension = extname(path);
  return `${path.slice(0, path.length - extension.length)}-${index}${extension}`;
}

/** `output.png`, or the URL's own name where it has an extension. The URL is the model's word: only its last part counts. */
function fileName(uri: string, mediaType: string): string {
  const url = URL.parse(uri);
  const name = url && url.protocol !== 'data:' ? basename(decode(url.pathname)) : '';
  return /^[\w][\w .-]{0,100}\.[\w]{1,10}$/.test(name) ? name : `output.${extensionOf(mediaType)}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function download(uri: string, signal: AbortSignal): Promise<{ bytes: Uint8Array; mediaType: string }> {
  const shown = uri.length > 100 ? `${uri.slice(0, 100)}…` : uri;
  try {
    const response = await fetch(uri, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(downloadTimeoutMs)]),
    });
    if (!response.ok)
      throw new CliError(`The output file ${shown} could not be fetched (${response.status}).`);
    return {
      bytes: new Uint8Array(await response.arrayBuffer()),
      mediaType: response.headers.get('content-type') ?? '',
    };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CliError) throw error;
    throw new CliError(`The output file ${shown} could not be fetched (${(error as Error).message}).`);
  }
}

/** An output as it is printed: strings raw, lists of strings a line each, everything else as JSON. */
export function renderOutput(output: unknown, concatenates: boolean): string {
  if (output === null || output === undefined) return '';
  if (typeof output === 'string') return output;
  if (Array.isArray(output) && output.every((item) => typeof item === 'string')) {
    return output.join(concatenates ? '' : '\n');
  }
  return JSON.stringify(output, null, 2);
}

function properties(schema: Schema): Record<string, unknown> {
  return typeof schema.properties === 'object' && schema.properties !== null
    ? (schema.properties as Record<string, unknown>)
    : {};
}
