import { hkdfSync } from 'node:crypto';

const keyBytes = 32;

/**
 * The key of the platform that signs URLs of streams and nothing else. Whoever holds it, as the webhooks' function does,
 * cannot make tokens of the fleet, downloads or cursors, which the platform's own key is for (RFC 5869).
 */
export function streamKeyOf(signingKey: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', signingKey, '', 'mimeo streams', keyBytes));
}
