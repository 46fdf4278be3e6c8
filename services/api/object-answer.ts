import { Readable } from 'node:stream';
import type { Context } from 'hono';
import { ProblemError } from '../core/errors.ts';
import type { Objects } from '../ports/objects/port.ts';

/** What others have stored is shown to nobody as ours: no sniffing, no scripts. Any page that has the URL may read it. */
const guards = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': 'sandbox',
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'accept-ranges, content-disposition, content-length, content-range, etag',
};

/** Types that a browser shows in its own window; all others it saves. SVG and HTML can hold scripts. */
const shown = /^(?:image\/(?!svg)|audio\/|video\/|text\/plain\b)/i;

/**
 * An object as the answer to GET or HEAD, whole or the single range that was asked for (RFC 9110, section 14).
 * @param file its name and ETag, where it has them
 * @throws ProblemError `not_found` where there is no such object
 */
export async function objectAnswer(
  context: Context,
  objects: Objects,
  key: string,
  file: { readonly name?: string; readonly etag?: string } = {},
): Promise<Response> {
  const info = await objects.head(key);
  if (!info) throw new ProblemError('not_found', 'The object is not there any more.', guards);
  const { etag } = file;
  const headers = {
    ...guards,
    'content-type': info.contentType,
    'content-disposition': disposition(info.contentType, file.name),
    'accept-ranges': 'bytes',
    ...(etag === undefined ? {} : { etag }),
  };
  if (etag !== undefined && context.req.header('if-none-match') === etag)
    return context.body(null, 304, headers);
  // Hono answers HEAD by this handler and never reads the body, whose file would then stay open.
  if (context.req.method === 'HEAD')
    return context.body(null, 200, { ...headers, 'content-length': String(info.size) });
  const isRangeOfThis =
    context.req.header('if-range') === undefined || context.req.header('if-range') === etag;
  const range = isRangeOfThis ? rangeOf(context.req.header('range'), info.size) : undefined;
  if (range === 'unsatisfiable')
    return context.body(null, 416, { ...headers, 'content-range': `bytes */${info.size}` });
  const object = await objects.get(key, { range });
  if (!object) throw new ProblemError('not_found', 'The object is not there any more.', guards);
  const length = range ? range.end - range.start + 1 : info.size;
  return context.body(Readable.toWeb(object.body) as ReadableStream, range ? 206 : 200, {
    ...headers,
    'content-length': String(length),
    ...(range ? { 'content-range': `bytes ${range.start}-${range.end}/${info.size}` } : {}),
  });
}

/** A content-disposition by which no name can add a header: RFC 6266, with RFC 8187 for what is not ASCII. */
function disposition(contentType: string, name: string | undefined): string {
  const kind = shown.test(contentType) ? 'inline' : 'attachment';
  if (name === undefined) return kind;
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${kind}; filename="${plain}"; filename*=UTF-8''${encoded}`;
}

/** The range of a Range header, inclusive; undefined where there is none, or several, and all is to be given. */
function rangeOf(
  header: string | undefined,
  size: number,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const last = size - 1;
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? last : Math.min(Number(match[2]), last);
  // A range that ends before it begins is none at all, which RFC 9110 has us leave out of account.
  if (match[1] !== '' && match[2] !== '' && Number(match[2]) < start) return undefined;
  return start <= end ? { start, end } : 'unsatisfiable';
}
