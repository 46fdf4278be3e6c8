import { ProblemError } from '../core/errors.ts';

/** Longest boundary: RFC 2046, section 5.1.1. */
const maxBoundaryCharacters = 70;
/** Most bytes of the headers of one part. */
const maxHeaderBytes = 16 * 1024;
/** Most parts of one body. */
const maxParts = 100;

/** One part of a body of `multipart/form-data` (RFC 7578). */
export interface Part {
  readonly name: string;
  /** As its sender gave it: hostile. undefined where the part is no file. */
  readonly filename: string | undefined;
  readonly contentType: string | undefined;
  /** To be read once, before the next part is asked for; what was not read of it is skipped then. */
  readonly body: AsyncGenerator<Buffer>;
}

/**
 * The boundary of a content type `multipart/form-data`; undefined where it is none.
 */
export function boundaryOf(contentType: string | undefined): string | undefined {
  if (!/^multipart\/form-data\s*;/i.test(contentType ?? '')) return undefined;
  const [, quoted, plain] = /;\s*boundary=(?:"([^"\r\n]+)"|([^\s;"]+))/i.exec(contentType ?? '') ?? [];
  const boundary = quoted ?? plain;
  return boundary !== undefined && boundary.length <= maxBoundaryCharacters ? boundary : undefined;
}

/**
 * The parts of a body as they come. Of a part no more is held than the chunk that has just come.
 * @throws ProblemError `invalid_request` where the body is no such thing, or ends too early
 */
export async function* readMultipart(
  source: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<Part> {
  const input = new Input(source);
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  try {
    // What stands before the first boundary is for readers of mail; it may be missing, with its line break.
    for await (const _ of input.until(delimiter));
    for (let parts = 0; await startsPart(input); parts++) {
      if (parts === maxParts) throw broken(`it has more than ${maxParts} parts`);
      const headers = parseHeaders(await input.take('\r\n\r\n', maxHeaderBytes, 'the headers of a part'));
      const body = input.until(delimiter);
      yield { ...describe(headers), body };
      for await (const _ of body);
    }
  } finally {
    await input.close();
  }
}

/** Reads the rest of a boundary's line. @returns whether a part follows */
async function startsPart(input: Input): Promise<boolean> {
  if (await input.startsWith('--')) return false;
  const padding = await input.take('\r\n', 256, 'a boundary');
  if (/[^ \t]/.test(padding)) throw broken('a line begins like its boundary and goes on');
  // A part without headers: `take` looks for the empty line behind them.
  input.unread('\r\n');
  return true;
}

/** The bytes of a body, of which only what is not used yet is kept. */
class Input {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.from('\r\n');

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  unread(text: string): void {
    this.#rest = Buffer.concat([Buffer.from(text), this.#rest]);
  }

  async startsWith(text: string): Promise<boolean> {
    while (this.#rest.length < text.length) await this.#more();
    if (this.#rest.toString('latin1', 0, text.length) !== text) return false;
    this.#rest = this.#rest.subarray(text.length);
    return true;
  }

  /** What stands before `end`, which is taken as well. */
  async take(end: string, maxBytes: number, what: string): Promise<string> {
    for (;;) {
      const at = this.#rest.indexOf(end);
      const bytes = at < 0 ? this.#rest.length : at;
      if (bytes > maxBytes) throw broken(`${what}: longer than ${maxBytes} bytes`);
      if (at >= 0) {
        const text = this.#rest.toString('utf8', 0, at);
        this.#rest = this.#rest.subarray(at + end.length);
        return text;
      }
      await this.#more();
    }
  }

  /** The bytes before `delimiter`, which is taken as well. */
  async *until(delimiter: Buffer): AsyncGenerator<Buffer> {
    for (;;) {
      const at = this.#rest.indexOf(delimiter);
      // The end of what has come may be the beginning of a delimiter.
      const sure = at < 0 ? Math.max(0, this.#rest.length - delimiter.length + 1) : at;
      const piece = this.#rest.subarray(0, sure);
      this.#rest = this.#rest.subarray(at < 0 ? sure : at + delimiter.length);
      if (piece.length > 0) yield piece;
      if (at >= 0) return;
      await this.#more();
    }
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#iterator.next();
    if (done) throw broken('it ends before its last boundary');
    this.#rest = this.#rest.length === 0 ? Buffer.from(value) : Buffer.concat([this.#rest, value]);
  }
}

function parseHeaders(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\r\n').filter((line) => line !== '');
  return new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      if (colon < 1) throw broken('a header of a part has no name');
      return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
}

function describe(headers: ReadonlyMap<string, string>): Omit<Part, 'body'> {
  const disposition = headers.get('content-disposition') ?? '';
  const name = parameterOf(disposition, 'name');
  if (!/^form-data\b/i.test(disposition) || name === undefined)
    throw broken('a part has no content-disposition: form-data; name="…"');
  const filename = extendedFilename(disposition) ?? parameterOf(disposition, 'filename');
  return { name, filename, contentType: headers.get('content-type') };
}

/** A parameter as browsers write it: quotes and line breaks in it are percent-encoded, or escaped by a backslash. */
function parameterOf(header: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;"]+))`, 'i').exec(header);
  if (!match) return undefined;
  const text = match[1]?.replace(/\\(["\\])/g, '$1') ?? match[2] ?? '';
  return text.replace(/%22/g, '"').replace(/%0D/gi, '\r').replace(/%0A/gi, '\n');
}

/** RFC 8187, which Python clients use for names that are not ASCII. */
function extendedFilename(header: string): string | undefined {
  const encoded = /;\s*filename\*=utf-8''([^\s;]+)/i.exec(header)?.[1];
  if (encoded === undefined) return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw broken('the name of a file is not encoded as it says');
  }
}

function broken(how: string): ProblemError {
  return new ProblemError('invalid_request', `The body is not valid multipart/form-data: ${how}.`);
}
