import { setTimeout as pause } from 'node:timers/promises';
import { ProblemError } from '../core/errors.ts';
import {
  type FileFinder,
  maxOutputFiles,
  type OutputFile,
  type OutputPath,
  replaceAt,
  valueAt,
} from '../core/output-files.ts';
import type { JobRef, RunnerProtocol } from '../ports/fleet-protocol/port.ts';
import { backoffMs, isPassing } from './delivery.ts';
import type { JsonValue, ProgressEvent } from './transcript.ts';

/** With their pauses about as long as a lease lasts: a disk may be full for a moment. */
const maxTries = 20;
const putTimeoutMs = 120_000;

/** An output whose files were brought away. */
export interface StoredOutput {
  readonly output: JsonValue;
  /** undefined where it has none. */
  readonly files: OutputFile[] | undefined;
}

/** Brings the files that one job puts out to where the control plane wants them, each once. */
export class OutputFiles {
  readonly #finder: FileFinder;
  readonly #protocol: Pick<RunnerProtocol, 'placeFile'>;
  readonly #job: JobRef;
  /** By data URL: an iterator's elements come again with its end. */
  readonly #names = new Map<string, string>();
  #told: Promise<void> = Promise.resolve();

  constructor(finder: FileFinder, protocol: Pick<RunnerProtocol, 'placeFile'>, job: JobRef) {
    this.#finder = finder;
    this.#protocol = protocol;
    this.#job = job;
  }

  /** Passes progress on, in order, an element with files once these are stored. What cannot be is left to the end. */
  progress(event: ProgressEvent, tell: (event: ProgressEvent) => void): void {
    this.#told = this.#told.then(async () => {
      if (event.type !== 'output') return tell(event);
      const { output, files } = await this.#store(event.chunk, this.#finder.inElement(event.chunk));
      tell(files ? { ...event, chunk: output, files } : event);
    });
    // Whoever asks for the end is told.
    this.#told.catch(() => {});
  }

  /**
   * The output as it is at the end, once all progress was passed on.
   * @throws ProblemError where a file could not be stored
   */
  async end(output: JsonValue): Promise<StoredOutput> {
    await this.#told;
    return await this.#store(output, this.#finder.inOutput(output));
  }

  async #store(output: JsonValue, paths: readonly OutputPath[]): Promise<StoredOutput> {
    if (paths.length > maxOutputFiles)
      throw new ProblemError('payload_too_large', `The model put out more than ${maxOutputFiles} files.`);
    const files: OutputFile[] = [];
    let rest: unknown = output;
    for (const path of paths) {
      const dataUrl = String(valueAt(output, path));
      const name = this.#names.get(dataUrl) ?? (await this.#bring(dataUrl));
      if (name === undefined) continue;
      this.#names.set(dataUrl, name);
      files.push({ path, name });
      rest = replaceAt(rest, path, null);
    }
    return { output: rest as JsonValue, files: files.length > 0 ? files : undefined };
  }

  /** @returns undefined where it is no data URL, or the control plane is of a release that places no files */
  async #bring(dataUrl: string): Promise<string | undefined> {
    const data = parseDataUrl(dataUrl);
    if (!data) return undefined;
    for (let tries = 1; ; tries++) {
      try {
        const { id, attempt } = this.#job;
        const place = await this.#protocol.placeFile({ id, attempt, contentType: data.contentType });
        await put(place.url, data);
        return place.name;
      } catch (error) {
        if (error instanceof ProblemError && error.code === 'not_found') return undefined;
        if (!isPassing(error) || tries === maxTries) throw error;
        await pause(backoffMs(tries));
      }
    }
  }
}

interface FileData {
  readonly contentType: string;
  readonly bytes: Buffer;
}

async function put(url: string, { contentType, bytes }: FileData): Promise<void> {
  const response = await fetch(url, {
    method: 'PUT',
    headers: { 'content-type': contentType },
    body: new Uint8Array(bytes),
    signal: AbortSignal.timeout(putTimeoutMs),
  });
  await response.body?.cancel();
  if (response.ok) return;
  const code = response.status === 413 ? 'payload_too_large' : 'unavailable';
  throw new ProblemError(
    code,
    `A file of the output could not be stored: the store answered ${response.status}.`,
  );
}

/** A data URL as Cog writes it (RFC 2397); undefined where it is none. */
export function parseDataUrl(url: string): FileData | undefined {
  const comma = url.indexOf(',');
  const head = /^data:([\w.+-]+\/[\w.+-]+)?((?:;[\w.+-]+=[\w.+-]+)*)(;base64)?$/i.exec(
    url.slice(0, Math.min(comma, 200)),
  );
  if (comma < 0 || !head) return undefined;
  const contentType = head[1] === undefined ? 'application/octet-stream' : `${head[1]}${head[2] ?? ''}`;
  const text = url.slice(comma + 1);
  try {
    return {
      contentType,
      bytes: head[3] === undefined ? Buffer.from(decodeURIComponent(text)) : Buffer.from(text, 'base64'),
    };
  } catch {
    return undefined;
  }
}
