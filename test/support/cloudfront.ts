import { generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { makeCertificate } from './certificate.ts';

const keyPairId = 'K2JCJMDEHXQW5F';

/** Stands where CloudFront does: takes URLs that were signed for it (canned policy), and reads the bucket behind it. */
export interface Distribution {
  /** What the api is given to sign for it. */
  readonly env: Readonly<Record<string, string>>;
  /** File of the certificate, which signs itself, for clients to trust. */
  readonly certificate: string;
  /** Where it reads from: `http://…/BUCKET`, known once there is one. */
  origin: string;
  /** Whose signatures it takes. */
  signer: { readonly keyPairId: string; readonly publicKey: KeyObject };
  /** The Authorization headers that came along. */
  readonly authorizations: string[];
  close(): Promise<void>;
}

export async function startDistribution(): Promise<Distribution> {
  const { certificate, key: tlsKey, remove } = await makeCertificate();
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const [cert, key] = await Promise.all([readFile(certificate), readFile(tlsKey)]);
  const server = createServer({ cert, key }, (request, response) => {
    void answer(distribution, request, response).catch(() => response.writeHead(502).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const distribution: Distribution = {
    env: {
      MIMEO_CLOUDFRONT_URL: url,
      MIMEO_CLOUDFRONT_KEY_PAIR_ID: keyPairId,
      MIMEO_CLOUDFRONT_PRIVATE_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    },
    certificate,
    origin: '',
    signer: { keyPairId, publicKey },
    authorizations: [],
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      await remove();
    },
  };
  return distribution;
}

async function answer(
  { env, origin, authorizations, signer }: Distribution,
  { url = '', headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const asked = new URL(url, env.MIMEO_CLOUDFRONT_URL);
  if (headers.authorization) authorizations.push(headers.authorization);
  if (!isSigned(asked, signer)) {
    response.writeHead(403).end('AccessDenied');
    return;
  }
  // The origin sees CloudFront's own signature, never what the viewer sent.
  const found = await readOrigin(origin, asked.pathname);
  response.writeHead(found.status, { 'content-type': found.headers.get('content-type') ?? '' });
  Readable.fromWeb(found.body as ReadableStream).pipe(response);
}

/** As CloudFront's access control reads the bucket: signed by itself, which the emulation does not check. */
export async function readOrigin(origin: string, pathname: string): Promise<Response> {
  const scope = 'Credential=test/20260101/eu-central-1/s3/aws4_request';
  const authorization = `AWS4-HMAC-SHA256 ${scope}, SignedHeaders=host, Signature=0`;
  return await fetch(`${origin}${pathname}`, { headers: { authorization } });
}

/** AWS: "Creating a signed URL using a canned policy". */
function isSigned(asked: URL, { keyPairId, publicKey }: Distribution['signer']): boolean {
  const { searchParams: given } = asked;
  const expires = Number(given.get('Expires'));
  const policy = `{"Statement":[{"Resource":"${asked.origin}${asked.pathname}","Condition":{"DateLessThan":{"AWS:EpochTime":${expires}}}}]}`;
  const base64 = (given.get('Signature') ?? '').replace(/-/g, '+').replace(/_/g, '=').replace(/~/g, '/');
  const isRight = verify('RSA-SHA1', Buffer.from(policy), publicKey, Buffer.from(base64, 'base64'));
  return isRight && given.get('Key-Pair-Id') === keyPairId && expires * 1000 > Date.now();
}
