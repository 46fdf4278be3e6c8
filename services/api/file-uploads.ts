import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { z } from 'zod';
import { ProblemError } from '../core/errors.ts';
import { newJobId } from '../core/ids.ts';
import { type FileRecord, type Files, fileLifeMs, fileObjectKey } from '../data/files.ts';
import type { Objects } from '../ports/objects/port.ts';
import { signCapability, verifyCapability } from './capability.ts';
import { isMetadataField, metadataOfFields } from './form-metadata.ts';
import { boundaryOf, type Part, readMultipart } from './multipart.ts';
import type { FileBody } from './routes/files.ts';
import type { UploadRoom } from './upload-room.ts';
import { isoTime } from './views.ts';

/** Most bytes of the parts that are no files, each. */
const maxFieldBytes = 16 * 1024;
/** What an upload may have beside the file itself. */
const maxOverheadBytes = 1024 * 1024;
/** Most bytes of a file's name. */
const maxNameBytes = 255;
/** Files on a page. */
const pageSize = 100;

const typePattern =
  /^[\w.+-]{1,100}\/[\w.+-]{1,100}(?:\s*;\s*[\w-]{1,40}=(?:[\w.+-]{1,80}|"[\w .+-]{1,80}"))?$/;
const metadataSchema = z.record(z.string(), z.json());

interface Parts {
  readonly files: Files;
  readonly objects: Objects;
  readonly publicUrl: () => string;
  readonly signingKey: Buffer;
  /** Largest file. */
  readonly maxFileBytes: number;
  /** Given where what is stored is held in memory on its way. */
  readonly room?: UploadRoom | undefined;
  /** Epoch ms. */
  readonly now: () => number;
}

/** What came beside a file's bytes. */
interface Fields {
  readonly [name: string]: string;
}

/** What an account can do with files. */
export class FileUploads {
  readonly #parts: Parts;
  readonly objects: Objects;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.objects = parts.objects;
  }

  /**
   * Stores the file of a request whose body is multipart/form-data, while it comes. Of a request that fails or ends
   * too early nothing is kept.
   * @throws ProblemError
   */
  async create(request: Request, account: string): Promise<FileBody> {
    const boundary = boundaryOf(request.headers.get('content-type') ?? undefined);
    if (boundary === undefined || !request.body)
      throw new ProblemError(
        'unsupported_media_type',
        'Send multipart/form-data with a boundary: the file as the part `content`, and JSON as `metadata`.',
      );
    const { maxFileBytes } = this.#parts;
    const length = lengthOf(request);
    if (length !== undefined && length > maxFileBytes + maxOverheadBytes) throw tooLarge(maxFileBytes);
    const leave = await this.#parts.room?.enter(account, length);
    try {
      return await this.#create(Readable.fromWeb(request.body as NodeReadableStream), boundary, account);
    } finally {
      leave?.();
    }
  }

  async #create(body: Readable, boundary: string, account: string): Promise<FileBody> {
    const { files, now } = this.#parts;
    const createdAt = now();
    const id = newJobId(createdAt);
    const expiresAt = createdAt + fileLifeMs;
    let isKept = false;
    try {
      const { stored, fields, nested } = await this.#receive(readMultipart(body, boundary), {
        account,
        id,
        expiresAt,
      });
      const metadata = { ...metadataOf(fields.metadata), ...metadataOfFields(nested) };
      const file = {
        id,
        account,
        name: nameOf(fields.filename ?? stored.filename),
        contentType: stored.contentType,
        size: stored.size,
        sha256: stored.sha256,
        metadata,
        createdAt,
        expiresAt,
      };
      await files.put(file);
      isKept = true;
      return this.#body(file);
    } finally {
      // Why it is not kept is worth more than that it could not be removed; what is left goes after the file's day.
      if (!isKept) await this.#forget({ account, id }).catch(() => {});
    }
  }

  async #forget(file: Pick<FileRecord, 'account' | 'id'>): Promise<void> {
    await this.objects.remove(fileObjectKey(file));
    await this.#parts.files.remove(file.id);
  }

  /** @throws ProblemError `not_found` */
  async get(id: string, account: string): Promise<FileBody> {
    return this.#body(await this.#own(id, account));
  }

  /** A page of an account's files, newest first. */
  async list(
    account: string,
    cursor: string | undefined,
  ): Promise<{ readonly results: readonly FileBody[]; readonly next: string | undefined }> {
    const page = await this.#parts.files.list(account, this.#parts.now(), { limit: pageSize, cursor });
    return { results: page.items.map((file) => this.#body(file)), next: page.next };
  }

  /** @throws ProblemError `not_found` */
  async remove(id: string, account: string): Promise<void> {
    const file = await this.#own(id, account);
    await this.objects.remove(fileObjectKey(file));
    await this.#parts.files.remove(id);
  }

  /**
   * The file that a signed URL leads to.
   * @param headers of a refusal
   * @throws ProblemError `unauthenticated`, `not_found`
   */
  async download(
    given: {
      readonly id: string;
      readonly owner: string;
      readonly expiry: string;
      readonly signature: string;
    },
    headers: Readonly<Record<string, string>>,
  ): Promise<FileRecord> {
    const { id, owner, expiry, signature } = given;
    const { signingKey, now, files } = this.#parts;
    const claim = { subject: subjectOf({ account: owner, id }), expiresAt: Number(expiry), signature };
    if (!/^\d{1,12}$/.test(expiry) || !verifyCapability(signingKey, claim, now()))
      throw new ProblemError('unauthenticated', 'The URL is not valid, or its time is over.', headers);
    const file = await files.get(id, now());
    if (file?.account !== owner) throw new ProblemError('not_found', `There is no file ${id}.`, headers);
    return file;
  }

  async #own(id: string, account: string): Promise<FileRecord> {
    const file = await this.#parts.files.get(id, this.#parts.now());
    if (file?.account !== account) throw new ProblemError('not_found', `There is no file ${id}.`);
    return file;
  }

  async #receive(parts: AsyncGenerator<Part>, file: Pick<FileRecord, 'account' | 'id' | 'expiresAt'>) {
    const fields: Record<string, string> = {};
    const nested: [name: string, value: string][] = [];
    let stored: (Stored & { readonly filename: string | undefined }) | undefined;
    for await (const part of parts) {
      if (isMetadataField(part.name)) {
        nested.push([part.name, await readField(part)]);
        continue;
      }
      if (part.name !== 'content') {
        fields[part.name] = await readField(part);
        continue;
      }
      if (stored) throw new ProblemError('invalid_body', '- content: There are two; send one file a request');
      const contentType = typeOf(fields.type ?? part.contentType);
      const key = fileObjectKey(file);
      await this.#parts.files.begin(file);
      stored = { ...(await this.#store(key, part, contentType)), filename: part.filename };
    }
    if (!stored) throw new ProblemError('invalid_body', '- content: This part is required: the file');
    return { stored, fields: fields as Fields, nested };
  }

  async #store(key: string, part: Part, contentType: string): Promise<Stored> {
    const { maxFileBytes } = this.#parts;
    const hash = createHash('sha256');
    let size = 0;
    async function* measured(): AsyncGenerator<Buffer> {
      for await (const chunk of part.body) {
        size += chunk.length;
        if (size > maxFileBytes) throw tooLarge(maxFileBytes);
        hash.update(chunk);
        yield chunk;
      }
    }
    await this.objects.put(key, Readable.from(measured(), { objectMode: false }), { contentType });
    return { size, sha256: hash.digest('hex'), contentType };
  }

  #body(file: FileRecord): FileBody {
    return {
      id: file.id,
      name: file.name,
      content_type: file.contentType,
      size: file.size,
      etag: file.sha256,
      checksums: { sha256: file.sha256 },
      metadata: file.metadata,
      created_at: isoTime(file.createdAt),
      expires_at: isoTime(file.expiresAt),
      urls: { get: this.#url(file) },
    };
  }

  #url(file: FileRecord): string {
    const { publicUrl, signingKey } = this.#parts;
    const expiry = Math.floor(file.expiresAt / 1000);
    const signature = signCapability(signingKey, subjectOf(file), expiry);
    const query = new URLSearchParams({ owner: file.account, expiry: String(expiry), signature });
    return `${publicUrl()}/v1/files/${file.id}/download?${query}`;
  }
}

type Stored = Pick<FileRecord, 'size' | 'sha256' | 'contentType'>;

function subjectOf({ account, id }: Pick<FileRecord, 'account' | 'id'>): string {
  return JSON.stringify(['file', account, id]);
}

/** undefined where it is not announced. */
function lengthOf(request: Request): number | undefined {
  const header = request.headers.get('content-length');
  return header === null ? undefined : Number(header);
}

async function readField(part: Part): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of part.body) {
    bytes += chunk.length;
    if (bytes > maxFieldBytes)
      throw new ProblemError(
        'payload_too_large',
        `A part beside \`content\` may have ${maxFieldBytes} bytes; \`${part.name.slice(0, 40)}\` has more.`,
      );
    // The reader uses its buffer again only for what comes later, so a slice of it stays as it is.
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function metadataOf(text: string | undefined): FileRecord['metadata'] {
  if (text === undefined || text === '') return {};
  const parsed = metadataSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new ProblemError('invalid_body', '- metadata: Must be an object of JSON, such as {"a": 1}');
}

/** undefined for what is no JSON, or has half of a surrogate pair, which other languages refuse. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, (key, value: unknown) => {
      if (!key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) throw new Error(key);
      return value;
    });
  } catch {
    return undefined;
  }
}

/** The last segment of a path, without control characters and no longer than file systems take. */
function nameOf(given: string | undefined): string {
  const last = (given ?? '').toWellFormed().split(/[/\\]/).at(-1) ?? '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: -- they are what is to be removed
  let name = last.replace(/[\u0000-\u001f\u007f]/g, '').trim();
  while (Buffer.byteLength(name) > maxNameBytes) name = [...name].slice(0, -1).join('');
  return name === '' || name === '.' || name === '..' ? 'file' : name;
}

function typeOf(given: string | undefined): string {
  const type = given?.trim() ?? '';
  return typePattern.test(type) ? type : 'application/octet-stream';
}

function tooLarge(maxFileBytes: number): ProblemError {
  const detail =
    `A file may have ${Math.floor(maxFileBytes / 1024 / 1024)} MiB here. ` +
    'Whoever runs this server can allow more: MIMEO_MAX_FILE_MB.';
  return new ProblemError('payload_too_large', detail);
}
