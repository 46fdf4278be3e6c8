import { randomUUID } from 'node:crypto';
import { createWriteStream, mkdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { type FileHandle, open, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ProblemError } from '../../core/errors.ts';
import { signUrl } from '../../core/signed-url.ts';
import { parseObjectKey } from './key.ts';
import type { ObjectInfo, Objects, StoredObject } from './port.ts';

export interface FilesystemObjectsOptions {
  /** The folder that holds the objects; made where there is none. Of one process at a time. */
  readonly root: string;
  /** Where the api is reached, for signed URLs; a function where the port is known only later. */
  readonly baseUrl: string | (() => string);
  /** Secret for signed URLs, which stay good over a restart while it stays the same. */
  readonly signingKey: string;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** A content type is at most this long, in bytes: its length is kept in one byte. */
const maxContentTypeBytes = 255;

/**
 * Objects as files. An object's file is its bytes, its content type and one byte with the length of that: one
 * rename replaces all of it, and a picture still opens as a picture. Its name has a `~` in front, so that the object
 * `a` and the folder of `a/b` do not meet.
 */
export function openFilesystemObjects(options: FilesystemObjectsOptions): Objects {
  const { root, baseUrl, signingKey, now = Date.now } = options;
  const objectsFolder = join(root, 'objects');
  const incomingFolder = join(root, 'incoming');
  // What a process that died was about to store.
  rmSync(incomingFolder, { recursive: true, force: true });
  mkdirSync(incomingFolder, { recursive: true });
  mkdirSync(objectsFolder, { recursive: true });

  function pathOf(key: string): string {
    const segments = parseObjectKey(key);
    return join(objectsFolder, ...segments.slice(0, -1), `~${segments.at(-1)}`);
  }

  function sign(method: 'GET' | 'PUT', key: string, expiresSeconds: number, contentType?: string): string {
    parseObjectKey(key);
    const expires = Math.ceil(now() / 1000 + expiresSeconds);
    const base = typeof baseUrl === 'string' ? baseUrl : baseUrl();
    return signUrl(base.replace(/\/$/, ''), signingKey, { method, key, expires, contentType });
  }

  return {
    async put(key, body, { contentType, maxBytes = Number.POSITIVE_INFINITY }) {
      const path = pathOf(key);
      const trailer = encodeTrailer(contentType);
      const incoming = join(incomingFolder, randomUUID());
      try {
        const size =
          body instanceof Uint8Array
            ? await storeBytes(incoming, key, body, trailer, maxBytes)
            : await storeStream(incoming, key, body, trailer, maxBytes);
        moveInto(incoming, path);
        return { size, contentType };
      } catch (error) {
        await rm(incoming, { force: true });
        throw error;
      }
    },

    async get(key, { range } = {}) {
      const file = await openIfThere(pathOf(key));
      if (file === undefined) return undefined;
      try {
        const info = await readInfo(file);
        return { ...info, body: readBody(file, info, key, range) };
      } catch (error) {
        await file.close();
        throw error;
      }
    },

    async head(key) {
      const file = await openIfThere(pathOf(key));
      if (file === undefined) return undefined;
      try {
        return await readInfo(file);
      } finally {
        await file.close();
      }
    },

    async remove(key) {
      const path = pathOf(key);
      await rm(path, { force: true });
      removeEmptyFolders(dirname(path), objectsFolder);
    },

    async signGet(key, { expiresSeconds }) {
      return sign('GET', key, expiresSeconds);
    },

    async signPut(key, { expiresSeconds, contentType }) {
      return sign('PUT', key, expiresSeconds, contentType);
    },
  };
}

function encodeTrailer(contentType: string): Buffer {
  const bytes = Buffer.from(contentType);
  if (bytes.length > maxContentTypeBytes) {
    throw new ProblemError(
      'invalid_request',
      `The content type is longer than ${maxContentTypeBytes} bytes: ${contentType.slice(0, 100)}…`,
    );
  }
  return Buffer.concat([bytes, Buffer.of(bytes.length)]);
}

async function storeBytes(
  path: string,
  key: string,
  body: Uint8Array,
  trailer: Buffer,
  maxBytes: number,
): Promise<number> {
  if (body.length > maxBytes) throw tooLarge(key, maxBytes);
  await writeFile(path, [body, trailer]);
  return body.length;
}

async function storeStream(
  path: string,
  key: string,
  body: Readable,
  trailer: Buffer,
  maxBytes: number,
): Promise<number> {
  let size = 0;
  const measured = new Transform({
    transform(chunk: Buffer | string, _encoding, callback) {
      size += Buffer.byteLength(chunk);
      if (size > maxBytes) callback(tooLarge(key, maxBytes));
      else callback(null, chunk);
    },
    flush(callback) {
      callback(null, trailer);
    },
  });
  await pipeline(body, measured, createWriteStream(path));
  return size;
}

function tooLarge(key: string, maxBytes: number): ProblemError {
  return new ProblemError(
    'payload_too_large',
    `${key} is longer than the ${maxBytes} bytes that are allowed for it.`,
  );
}

/** Synchronous, as is `removeEmptyFolders`: between making a folder and using it nobody can remove it as empty. */
function moveInto(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  renameSync(from, to);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function readInfo(file: FileHandle): Promise<ObjectInfo> {
  const { size: fileBytes } = await file.stat();
  const tail = Buffer.alloc(Math.min(fileBytes, maxContentTypeBytes + 1));
  await file.read(tail, 0, tail.length, fileBytes - tail.length);
  const typeBytes = tail.at(-1) ?? 0;
  return {
    size: fileBytes - typeBytes - 1,
    contentType: tail.subarray(tail.length - 1 - typeBytes, -1).toString(),
  };
}

function readBody(
  file: FileHandle,
  { size }: ObjectInfo,
  key: string,
  range: { readonly start: number; readonly end?: number } | undefined,
): StoredObject['body'] {
  const start = range?.start ?? 0;
  const end = Math.min(range?.end ?? size - 1, size - 1);
  if (range !== undefined && !(start >= 0 && start <= end)) {
    throw new ProblemError('invalid_request', `${key} has ${size} bytes: the range asks for none of them.`);
  }
  if (size === 0) {
    void file.close();
    return Readable.from([]);
  }
  return file.createReadStream({ start, end });
}

function removeEmptyFolders(folder: string, root: string): void {
  for (let path = folder; path !== root; path = dirname(path)) {
    try {
      rmdirSync(path);
    } catch {
      // Not empty, or not there.
      return;
    }
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
