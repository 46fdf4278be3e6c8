import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { ProblemError } from '../../core/errors.ts';
import { signedUrlPath, verifySignedUrl } from '../../core/signed-url.ts';
import type { Objects } from '../../ports/objects/port.ts';
import type { ApiEnv } from '../auth.ts';
import { objectAnswer } from '../object-answer.ts';

/** Largest object that a signed URL stores, bytes. */
const maxObjectBytes = 5 * 1024 ** 3;

/** Where signed URLs of objects are ours to serve: on one machine. In the cloud they lead to the store itself. */
export interface ServedObjects {
  readonly objects: Objects;
  readonly signingKey: string;
}

/** Reads and writes of objects by signed URLs, without a token. */
export function objectRoutes(app: OpenAPIHono<ApiEnv>, served: ServedObjects, now: () => number): void {
  const { objects } = served;

  app.get(`${signedUrlPath}:key{.+}`, async (context) =>
    objectAnswer(context, objects, authorizedKey(context, served.signingKey, now())),
  );

  app.put(`${signedUrlPath}:key{.+}`, async (context) => {
    const key = authorizedKey(context, served.signingKey, now());
    const { body } = context.req.raw;
    const contentType = context.req.header('content-type') ?? '';
    const bytes = body ? Readable.fromWeb(body as NodeReadableStream) : Buffer.alloc(0);
    await objects.put(key, bytes, { contentType, maxBytes: maxObjectBytes });
    return context.body(null, 200);
  });
}

function authorizedKey(context: Context, signingKey: string, nowMs: number): string {
  const key = context.req.param('key') ?? '';
  const verdict = verifySignedUrl(
    signingKey,
    {
      method: context.req.method as 'GET' | 'HEAD' | 'PUT',
      key,
      expires: context.req.query('expires') ?? null,
      signature: context.req.query('signature') ?? null,
      contentType: context.req.header('content-type'),
    },
    nowMs,
  );
  if (verdict === 'valid') return key;
  const detail =
    verdict === 'expired'
      ? 'The time of this URL is over; get a new one.'
      : 'The URL is not signed for this.';
  throw new ProblemError('forbidden', detail);
}
