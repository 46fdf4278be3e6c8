import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a signature vouches for. */
export interface SignedRequest {
  readonly method: 'GET' | 'PUT';
  readonly key: string;
  /** Epoch seconds from which the URL is no longer good. */
  readonly expires: number;
  /** For PUT: the content type that the object must be sent with. */
  readonly contentType?: string;
}

/** The path under which signed URLs are served; the object's key follows. */
export const signedUrlPath = '/v1/objects/';

/** @param baseUrl scheme, host and port, without a slash at the end */
export function signUrl(baseUrl: string, signingKey: string, request: SignedRequest): string {
  const signature = signatureOf(signingKey, request).toString('base64url');
  return `${baseUrl}${signedUrlPath}${request.key}?expires=${request.expires}&signature=${signature}`;
}

/**
 * Whether a request may do what it asks for. A HEAD request is good where GET is.
 * @param request as it came: `expires` and `signature` are the URL's parameters, null where it has none;
 *   `contentType` is the header of a PUT
 * @param nowMs epoch milliseconds
 */
export function verifySignedUrl(
  signingKey: string,
  request: {
    readonly method: 'GET' | 'HEAD' | 'PUT';
    readonly key: string;
    readonly expires: string | null;
    readonly signature: string | null;
    readonly contentType?: string;
  },
  nowMs: number,
): 'valid' | 'expired' | 'invalid' {
  const { method, key, contentType } = request;
  if (request.signature === null || request.expires === null || !/^\d{1,12}$/.test(request.expires))
    return 'invalid';
  const expires = Number(request.expires);
  const expected = signatureOf(signingKey, {
    method: method === 'HEAD' ? 'GET' : method,
    key,
    expires,
    contentType,
  });
  const given = Buffer.from(request.signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return 'invalid';
  return expires * 1000 > nowMs ? 'valid' : 'expired';
}

function signatureOf(signingKey: string, { method, key, expires, contentType }: SignedRequest): Buffer {
  // JSON keeps the parts apart: no content type can pass for the end of a key.
  const text = JSON.stringify([method, key, expires, method === 'PUT' ? (contentType ?? '') : '']);
  return createHmac('sha256', signingKey).update(text).digest();
}
