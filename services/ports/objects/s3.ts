import { Readable, Transform } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  NoSuchKey,
  NotFound,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { getSignedUrl as signForCloudFront } from '@aws-sdk/cloudfront-signer';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl as signForS3 } from '@aws-sdk/s3-request-presigner';
import { ProblemError } from '../../core/errors.ts';
import { parseObjectKey } from './key.ts';
import type { Objects } from './port.ts';

/**
 * Bytes of one part of an upload, of which a process holds `partsAtOnce` and the one that it collects. S3 takes 10,000
 * parts of 5 MiB at least: files of up to 78 GiB.
 */
const partBytes = 8 * 1024 * 1024;
const partsAtOnce = 2;
/** What a `put` of a stream holds in memory at most. */
export const bytesHeldByPut = (partsAtOnce + 1) * partBytes;
/** Role credentials may end an hour from now (AWS docs: presigned URLs die with the credentials that signed them). */
const longestPresignSeconds = 3600;
/** S3: bytes of all user metadata and headers of an object; ours is the content type. */
const maxContentTypeBytes = 1024;

/** Objects that one process reads and writes at a time; each has a connection of its own, and must not keep others waiting. */
const maxConnections = 1000;
/** A part of an upload on its way, and a transfer where nothing moves, take no longer. */
const stalledMs = 60_000;

/** What signs reads for the distribution in front of the bucket. */
export interface CloudFrontSigner {
  /** `https://…`, without a path. */
  readonly url: string;
  /** Id of the public key in the distribution's key group. */
  readonly keyPairId: string;
  /** PEM. */
  readonly privateKey: string;
}

export interface S3ObjectsOptions {
  readonly client: S3Client;
  readonly bucket: string;
  /** Where unset, S3 itself is read, and refuses whoever sends an Authorization header along. */
  readonly cloudFront?: CloudFrontSigner;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** A client that sends only the checksums that S3 asks for: those that it adds by itself would be part of a signed URL. */
export function createS3Client(options: S3ClientConfig = {}): S3Client {
  const agent = { keepAlive: true, maxSockets: maxConnections };
  return new S3Client({
    requestHandler: {
      httpAgent: agent,
      httpsAgent: agent,
      connectionTimeout: 3000,
      // Up to the answer's headers, the request's body included.
      requestTimeout: stalledMs,
      throwOnRequestTimeout: true,
      socketTimeout: stalledMs,
    },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 5,
    ...options,
  });
}

/** Objects in a bucket of S3, read through CloudFront where there is a key for it. */
export function createS3Objects(options: S3ObjectsOptions): Objects {
  const { client, bucket: Bucket, cloudFront, now = Date.now } = options;

  function locate(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket, Key: parseObjectKey(key).join('/') };
  }

  return {
    async put(key, body, { contentType, maxBytes = Number.POSITIVE_INFINITY }) {
      const place = locate(key);
      assertContentType(contentType);
      if (body instanceof Uint8Array) {
        if (body.length > maxBytes) throw tooLarge(key, maxBytes);
        await client.send(new PutObjectCommand({ ...place, Body: body, ContentType: contentType }));
        return { size: body.length, contentType };
      }
      const measured = measure(key, body, maxBytes);
      const params = { ...place, Body: measured.stream, ContentType: contentType };
      const upload = new Upload({ client, params, partSize: partBytes, queueSize: partsAtOnce });
      // A stream that breaks must not leave parts behind; what a process that died leaves, the bucket's rule removes.
      try {
        await upload.done();
      } catch (error) {
        throw measured.failure() ?? error;
      }
      return { size: measured.size(), contentType };
    },

    async get(key, { range } = {}) {
      const place = locate(key);
      if (range !== undefined && !(range.start >= 0 && range.start <= (range.end ?? range.start))) {
        throw noSuchRange(key);
      }
      try {
        const answer = await client.send(
          new GetObjectCommand({
            ...place,
            ...(range ? { Range: `bytes=${range.start}-${range.end ?? ''}` } : {}),
          }),
        );
        const whole = /\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1];
        return {
          size: Number(whole ?? answer.ContentLength ?? 0),
          contentType: answer.ContentType ?? 'application/octet-stream',
          body: answer.Body instanceof Readable ? answer.Body : Readable.from([]),
        };
      } catch (error) {
        if (error instanceof NoSuchKey) return undefined;
        if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 416)
          throw noSuchRange(key);
        throw error;
      }
    },

    async head(key) {
      try {
        const answer = await client.send(new HeadObjectCommand(locate(key)));
        return {
          size: answer.ContentLength ?? 0,
          contentType: answer.ContentType ?? 'application/octet-stream',
        };
      } catch (error) {
        if (error instanceof NotFound) return undefined;
        throw error;
      }
    },

    async remove(key) {
      await client.send(new DeleteObjectCommand(locate(key)));
    },

    async signGet(key, { expiresSeconds }) {
      const place = locate(key);
      if (cloudFront) {
        return signForCloudFront({
          url: `${cloudFront.url}/${place.Key}`,
          keyPairId: cloudFront.keyPairId,
          privateKey: cloudFront.privateKey,
          dateLessThan: new Date(now() + expiresSeconds * 1000),
        });
      }
      return await signForS3(client, new GetObjectCommand(place), {
        expiresIn: Math.min(expiresSeconds, longestPresignSeconds),
      });
    },

    async signPut(key, { expiresSeconds, contentType }) {
      assertContentType(contentType);
      const command = new PutObjectCommand({ ...locate(key), ContentType: contentType });
      return await signForS3(client, command, {
        expiresIn: Math.min(expiresSeconds, longestPresignSeconds),
        signableHeaders: new Set(['content-type', 'host']),
      });
    },
  };
}

/** The stream, and how much of it has gone by; it breaks as soon as it is longer than it may be. */
function measure(key: string, body: Readable, maxBytes: number) {
  let size = 0;
  let failure: Error | undefined;
  const stream = new Transform({
    transform(chunk: Buffer | string, _encoding, callback) {
      size += Buffer.byteLength(chunk);
      if (size > maxBytes) callback(tooLarge(key, maxBytes));
      else callback(null, chunk);
    },
  });
  stream.once('error', (error) => {
    failure = error;
    body.destroy();
  });
  body.once('error', (error) => stream.destroy(error));
  body.once('close', () => {
    if (!body.readableEnded) stream.destroy(new Error(`The sender of ${key} has gone before its end`));
  });
  body.pipe(stream);
  return { stream, size: () => size, failure: () => failure };
}

function assertContentType(contentType: string): void {
  if (Buffer.byteLength(contentType) <= maxContentTypeBytes) return;
  throw new ProblemError(
    'invalid_request',
    `The content type is longer than ${maxContentTypeBytes} bytes: ${contentType.slice(0, 100)}…`,
  );
}

function tooLarge(key: string, maxBytes: number): ProblemError {
  return new ProblemError(
    'payload_too_large',
    `${key} is longer than the ${maxBytes} bytes that are allowed for it.`,
  );
}

function noSuchRange(key: string): ProblemError {
  return new ProblemError('invalid_request', `The range asks for no byte of ${key}.`);
}
