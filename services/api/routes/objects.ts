import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { ProblemError } from '../../core/errors.ts';
import { signedUrlPath, verifySignedUrl } from '../../core/signed-url.ts';
import type { Objects } from '../../ports/objects/port.ts';
import type { ApiEnv } from '../auth.ts';

/** Largest object that a signed URL stores, bytes. */
const maxObjectBytes = 5 * 1024 ** 3;

/** What models put out is shown to nobody as ours: no sniffing, no scripts. */
const guards = { 'x-content-type-options': 'nosniff', 'content-security-policy': 'sandbox' };

/** Where signed URLs of objects are ours to serve: on one machine. In the cloud they lead to the store itself. */
export interface ServedObjects {
  readonly objects: Objects;
  readonly signingKey: string;
}

/** Reads and writes of objects by signed URLs, without a token. */
export function objectRoutes(app: OpenAPIHono<ApiEnv>, served: ServedObjects, now: () => number): void {
  const { objects } = served;

  app.get(`${signedUrlPath}:key{.+}`, async (context) => {
    const key = authorizedKey(context, served.signingKey, now());
    const info = await objects.head(key);
    if (!info) throw gone();
    const range = rangeOf(context.req.header('range'), info.size);
    const end = range ? range.end : info.size - 1;
    const headers = {
      ...guards,
      'content-type': info.contentType,
      'content-length': String(range ? range.end - range.start + 1 : info.size),
      'accept-ranges': 'bytes',
      ...(range ? { 'content-range': `bytes ${range.start}-${end}/${info.size}` } : {}),
    };
    // Hono answers HEAD by this handler and never reads the body, whose file would then stay open.
    if (context.req.method === 'HEAD') return context.body(null, 200, headers);
    const object = await objects.get(key, { range });
    if (!object) throw gone();
    return context.body(Readable.toWeb(object.body) as ReadableStream, range ? 206 : 200, headers);
  });

  app.put(`${signedUrlPath}:key{.+}`, async (context) => {
    const key = authorizedKey(context, served.signingKey, now());
    const { body } = context.req.raw;
    const contentType = context.req.header('content-type') ?? '';
    const bytes = body ? Readable.fromWeb(body as NodeReadableStream) : Buffer.alloc(0);
    await objects.put(key, bytes, { contentType, maxBytes: maxObjectBytes });
    return context.body(null, 200);
  });
}

function gone(): ProblemError {
  return new ProblemError('not_found', 'The object is not there any more.');
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

/** The one range of a Range header, inclusive; undefined where there is none that can be given. */
function rangeOf(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const last = size - 1;
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? last : Math.min(Number(match[2]), last);
  return start <= end ? { start, end } : undefined;
}
