import { createHash, randomBytes } from 'node:crypto';

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** Length of a job's id: 128 bits in lower-case base32, as Replicate's clients know it. */
export const jobIdLength = 26;

/** A job's id is opaque; ids made elsewhere (from an idempotency key) have the same form. */
export const jobIdPattern = /^[a-z2-7]{26}$/;

/** A version's id: the SHA-256 of its content, in lower-case hex. */
export const versionIdPattern = /^[0-9a-f]{64}$/;

/**
 * A new job id: the milliseconds since 1970 in 48 bits, then 80 random bits, as in a ULID. What is made together is
 * then stored together, which a database answers with fewer pages to write.
 */
export function newJobId(nowMs: number): string {
  if (unusedRandom.length < jobIdRandomBytes) unusedRandom = randomBytes(jobIdRandomBytes * 256);
  const bytes = Buffer.alloc(6 + jobIdRandomBytes);
  bytes.writeUIntBE(nowMs, 0, 6);
  unusedRandom.copy(bytes, 6, 0, jobIdRandomBytes);
  unusedRandom = unusedRandom.subarray(jobIdRandomBytes);
  return encodeBase32(bytes);
}

/** Random bytes are asked for in bulk: each call of the system costs as much as the rest of an id. */
const jobIdRandomBytes = 10;
let unusedRandom: Buffer = Buffer.alloc(0);

/** A new API token: `r8_` and 37 characters, the form that existing clients and secret scanners know. */
export function newToken(): string {
  return `r8_${encodeBase32(randomBytes(24)).slice(0, 37)}`;
}

/** Tokens are stored only as this hash (SHA-256, hex). */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** RFC 4648 base32, lower case, without padding. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(buffer >> bits) & 31];
    }
    buffer &= (1 << bits) - 1;
  }
  return bits > 0 ? text + alphabet[(buffer << (5 - bits)) & 31] : text;
}
