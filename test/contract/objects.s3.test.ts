import { createHash, generateKeyPairSync, verify } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createS3Client, createS3Objects } from '../../services/ports/objects/s3.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';
import { describeObjects } from './objects.ts';

const bucket = 'mimeo-test-outputs';
let aws: EmulatedAws;
let client: S3Client;

beforeAll(async () => {
  aws = await startEmulatedAws();
  client = createS3Client({ ...aws.client, forcePathStyle: true });
  await client.send(
    new CreateBucketCommand({
      Bucket: bucket,
      CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' },
    }),
  );
});
afterAll(async () => {
  await aws.stop();
});

const open = () => createS3Objects({ client, bucket });

/**
 * S3's answer to a signed URL. The emulation checks no signatures, so what S3 checks is checked here first: the URL must
 * be the one that the SDK signs for this method, key, time and content type, and no Authorization header comes with it.
 */
async function fetchSigned(
  url: string,
  init: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Response> {
  const asked = new URL(url);
  const headers = new Headers(init.headers);
  if (headers.has('authorization')) return new Response('Only one auth mechanism allowed', { status: 400 });
  const Key = asked.pathname.slice(`/${bucket}/`.length);
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(asked.searchParams.get('X-Amz-Date') ?? '') ?? [];
  const signingDate = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const expiresIn = Number(asked.searchParams.get('X-Amz-Expires'));
  if (signingDate.getTime() + expiresIn * 1000 < Date.now()) return new Response('expired', { status: 403 });
  const command =
    init.method === 'PUT'
      ? new PutObjectCommand({ Bucket: bucket, Key, ContentType: headers.get('content-type') ?? undefined })
      : new GetObjectCommand({ Bucket: bucket, Key });
  const signed = await getSignedUrl(client, command as GetObjectCommand, {
    expiresIn,
    signingDate,
    signableHeaders: init.method === 'PUT' ? new Set(['content-type', 'host']) : undefined,
  });
  const seal = (one: string | URL) => new URL(one).searchParams.get('X-Amz-Signature');
  if (seal(signed) !== seal(asked)) return new Response('SignatureDoesNotMatch', { status: 403 });
  return await fetch(url, init);
}

describeObjects('S3', async () => ({ objects: open(), fetch: fetchSigned, async dispose() {} }), {
  reopens: false,
});

describe('objects in S3', () => {
  it('takes a stream of several parts, and holds few of them', async () => {
    const bytes = 50 * 1024 * 1024;
    const hash = createHash('sha256');
    async function* body() {
      for (let sent = 0; sent < bytes; sent += 1024 * 1024) {
        const chunk = Buffer.alloc(1024 * 1024, sent / (1024 * 1024));
        hash.update(chunk);
        yield chunk;
      }
    }
    const objects = open();
    expect(await objects.put('ada/large', Readable.from(body()), { contentType: 'image/png' })).toEqual({
      size: bytes,
      contentType: 'image/png',
    });
    const found = await objects.get('ada/large');
    const read = createHash('sha256');
    await pipeline(found?.body ?? [], read);

    expect(read.digest('hex')).toBe(hash.digest('hex'));
  });

  it('reads on while a hundred readers are slow', async () => {
    const objects = open();
    await objects.put('ada/slow', Buffer.alloc(8 * 1024 * 1024), { contentType: 'image/png' });
    await objects.put('ada/small', Buffer.from('small'), { contentType: 'text/plain' });
    const held = await Promise.all(Array.from({ length: 100 }, async () => objects.get('ada/slow')));
    const small = await objects.get('ada/small');

    expect(await text(small?.body ?? Readable.from([]))).toBe('small');
    for (const each of held) each?.body.destroy();
  });

  it('leaves no part behind of a stream that breaks', async () => {
    async function* broken() {
      for (let part = 0; part < 3; part += 1) yield Buffer.alloc(16 * 1024 * 1024);
      throw new Error('the sender is gone');
    }
    const storing = open().put('ada/broken', Readable.from(broken()), { contentType: 'image/png' });
    await expect(storing).rejects.toThrow('the sender is gone');

    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads ?? []).toEqual([]);
  });

  it('signs for an hour at most, because a role may have no more left', async () => {
    const url = await open().signGet('ada/a', { expiresSeconds: 86_400 });

    expect(new URL(url).searchParams.get('X-Amz-Expires')).toBe('3600');
  });

  it('signs reads for CloudFront where there is a key for it, by its canned policy', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const objects = createS3Objects({
      client,
      bucket,
      cloudFront: {
        url: 'https://d111.cloudfront.net',
        keyPairId: 'K2JCJMDEHXQW5F',
        privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      },
      now: () => 1_000_000_000_000,
    });
    const url = new URL(await objects.signGet('ada/out.png', { expiresSeconds: 86_400 }));

    const resource = 'https://d111.cloudfront.net/ada/out.png';
    expect(`${url.origin}${url.pathname}`).toBe(resource);
    expect(url.searchParams.get('Key-Pair-Id')).toBe('K2JCJMDEHXQW5F');
    expect(url.searchParams.get('Expires')).toBe('1000086400');
    const policy = `{"Statement":[{"Resource":"${resource}","Condition":{"DateLessThan":{"AWS:EpochTime":1000086400}}}]}`;
    const signature = url.searchParams
      .get('Signature')
      ?.replace(/-/g, '+')
      .replace(/_/g, '=')
      .replace(/~/g, '/');
    expect(verify('RSA-SHA1', Buffer.from(policy), publicKey, Buffer.from(signature ?? '', 'base64'))).toBe(
      true,
    );
  });

  it('is refused by S3 when an Authorization header comes with a signed URL', async () => {
    await open().put('ada/a.txt', Buffer.from('hello'), { contentType: 'text/plain' });
    const url = await open().signGet('ada/a.txt', { expiresSeconds: 60 });

    expect((await fetchSigned(url, { headers: { authorization: 'Bearer r8_x' } })).status).toBe(400);
    expect(await (await fetchSigned(url)).text()).toBe('hello');
  });
});
