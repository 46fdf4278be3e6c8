import { randomUUID } from 'node:crypto';
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
import type { FilePlace, JobRef, RunnerProtocol } from '../ports/fleet-protocol/port.ts';
import { backoffMs, isPassing } from './delivery.ts';
import { type FileDoor, type FileTaker, forward, type IncomingFile } from './file-receiver.ts';
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

interface Arrival {
  /** What Cog puts out in its place. */
  readonly location: string;
  /** Set once it is stored. */
  name?: string;
  failure?: ProblemError;
}

/** How the file of a model that puts out nothing else comes, where its Cog server sends it. */
export interface SentFiles {
  readonly door: FileDoor;
  /** Largest one. */
  readonly maxBytes: number;
}

/** Brings the files that one job puts out to where the control plane wants them, each once. */
export class OutputFiles implements FileTaker {
  readonly #finder: FileFinder;
  readonly #protocol: Pick<RunnerProtocol, 'placeFile'>;
  readonly #job: JobRef;
  /** By data URL: an iterator's elements come again with its end. */
  readonly #names = new Map<string, string>();
  readonly #sent: SentFiles | undefined;
  readonly #shut: (() => void) | undefined;
  #told: Promise<void> = Promise.resolve();
  /** The one file that its Cog server has sent. */
  #arrival: Arrival | undefined;

  /** @param sent given where the whole output may come as one file that is sent; to be ended with `shut` then */
  constructor(
    finder: FileFinder,
    protocol: Pick<RunnerProtocol, 'placeFile'>,
    job: JobRef,
    sent?: SentFiles | undefined,
  ) {
    this.#finder = finder;
    this.#protocol = protocol;
    this.#job = job;
    this.#sent = sent;
    this.#shut = sent?.door.open(this);
  }

  get jobId(): string {
    return this.#job.id;
  }

  /** Why the file that was sent is not stored; undefined where it is, or none came. */
  get failure(): ProblemError | undefined {
    return this.#arrival?.failure;
  }

  /** Once the run has ended: what still comes is not wanted, and what is still on its way has failed. */
  shut(): void {
    this.#shut?.();
    const arrival = this.#arrival;
    if (arrival && arrival.name === undefined) arrival.failure ??= brokenOff();
  }

  async take(file: IncomingFile, signal: AbortSignal): Promise<string> {
    if (!this.#sent || this.#arrival) throw new ProblemError('conflict', 'A run sends one file.');
    const { door, maxBytes } = this.#sent;
    // Nobody can guess it, so that no text of a model passes for it.
    const arrival: Arrival = { location: `${door.url}/${randomUUID()}` };
    this.#arrival = arrival;
    try {
      const place = await this.#place(file.contentType, signal);
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(putTimeoutMs)]);
      const status = await forward(file, place.url, { maxBytes, signal: inTime });
      if (status >= 300) throw notStored(status);
      arrival.name = place.name;
      return arrival.location;
    } catch (error) {
      arrival.failure ??= error instanceof ProblemError ? error : brokenOff();
      throw arrival.failure;
    }
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
    const { location, name } = this.#arrival ?? {};
    if (name !== undefined && output === location) return { output: null, files: [{ path: [], name }] };
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
        const place = await this.#protocol.placeFile({ ...this.#ref(), contentType: data.contentType });
        await put(place.url, data);
        return place.name;
      } catch (error) {
        if (error instanceof ProblemError && error.code === 'not_found') return undefined;
        if (!isPassing(error) || tries === maxTries) throw error;
        await pause(backoffMs(tries));
      }
    }
  }

  async #place(contentType: string, signal: AbortSignal): Promise<FilePlace> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#protocol.placeFile({ ...this.#ref(), contentType });
      } catch (error) {
        if (!isPassing(error) || tries === maxTries) throw error;
        await pause(backoffMs(tries), undefined, { signal });
      }
    }
  }

  #ref(): JobRef {
    const { id, attempt } = this.#job;
    return { id, attempt };
  }
}

function brokenOff(): ProblemError {
  return new ProblemError('unavailable', 'The file of the output broke off on its way to the store.');
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
  throw notStored(response.status);
}

function notStored(status: number): ProblemError {
  const code = status === 413 ? 'payload_too_large' : 'unavailable';
  return new ProblemError(code, `A file of the output could not be stored: the store answered ${status}.`);
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
