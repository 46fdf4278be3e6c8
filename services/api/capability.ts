import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * A signature that lets its holder do one thing until a time, without a token: an HMAC-SHA-256 over both.
 * @param expiresAt epoch seconds
 */
export function signCapability(key: Buffer, subject: string, expiresAt: number): string {
  return createHmac('sha256', key).update(`${subject}\n${expiresAt}`).digest('base64url');
}

/** Whether a signature is right and its time is not over. Takes the same time whatever is wrong with it. */
export function verifyCapability(
  key: Buffer,
  given: { readonly subject: string; readonly expiresAt: number; readonly signature: string },
  nowMs: number,
): boolean {
  const expected = Buffer.from(signCapability(key, given.subject, given.expiresAt));
  const actual = Buffer.from(given.signature);
  const right = actual.length === expected.length && timingSafeEqual(actual, expected);
  return right && given.expiresAt * 1000 > nowMs;
}
