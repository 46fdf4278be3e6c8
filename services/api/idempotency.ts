import { createHash } from 'node:crypto';
import { ProblemError } from '../core/errors.ts';
import { encodeBase32, jobIdLength } from '../core/ids.ts';

/** What a request with an `Idempotency-Key` makes: one job, whose id the key gives, of one request. */
export interface Idempotency {
  readonly id: string;
  /** SHA-256, hex, of what was asked for. */
  readonly requestDigest: string;
}

const keyPattern = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/;

/**
 * Holds for as long as the prediction's record is kept. The order of a body's members does not matter.
 * @param body the parsed body
 * @throws ProblemError `invalid_request` where the key is none
 */
export function idempotencyOf(account: string, key: string, path: string, body: unknown): Idempotency {
  if (!keyPattern.test(key)) {
    const detail = 'Idempotency-Key takes 1 to 255 printable ASCII characters, such as a UUID.';
    throw new ProblemError('invalid_request', detail);
  }
  const digest = createHash('sha256')
    .update(JSON.stringify([account, key]))
    .digest();
  return {
    id: encodeBase32(digest.subarray(0, 16)).slice(0, jobIdLength),
    requestDigest: createHash('sha256')
      .update(JSON.stringify([path, body], withSortedMembers))
      .digest('hex'),
  };
}

/** The key is in use for another request. */
export function idempotencyMismatch(id: string): ProblemError {
  return new ProblemError(
    'idempotency_mismatch',
    `This Idempotency-Key made prediction ${id} of another body or path. Send a new key for a new request.`,
  );
}

function withSortedMembers(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
