import { createHmac, timingSafeEqual } from 'node:crypto';
import { ProblemError } from '../../core/errors.ts';
import type { IndexName } from './port.ts';

/** Half of an HMAC-SHA256 (RFC 2104, section 5): nobody forges a cursor within its life. */
const sealBytes = 16;

/** Where a page ended, in what an adapter needs to go on from there. */
export type Place = readonly (string | number | null)[];

/** What a cursor is good for. */
interface Partition {
  readonly index?: IndexName;
  readonly pk: string;
}

/** Opaque cursors that only we can make, each good for the one partition that it was made for. */
export function cursorsSealedWith(key: string | Buffer) {
  const sealOf = ({ index, pk }: Partition, text: string) =>
    createHmac('sha256', key)
      .update(JSON.stringify([index ?? null, pk, text]))
      .digest()
      .subarray(0, sealBytes);
  return {
    encode(partition: Partition, place: Place): string {
      const text = JSON.stringify(place);
      return Buffer.concat([sealOf(partition, text), Buffer.from(text)]).toString('base64url');
    },
    /**
     * The place in a cursor that came back from a client.
     * @throws ProblemError `invalid_request` where it is not one that was made for this partition
     */
    decode(partition: Partition, cursor: string): Place {
      const bytes = Buffer.from(cursor, 'base64url');
      const text = bytes.subarray(sealBytes).toString();
      // Buffer skips what is not base64url: only the exact spelling is ours.
      const isWhole = bytes.length > sealBytes && bytes.toString('base64url') === cursor;
      if (!isWhole || !timingSafeEqual(bytes.subarray(0, sealBytes), sealOf(partition, text))) {
        throw new ProblemError(
          'invalid_request',
          'The cursor is not one that this list gave out. Ask for the first page without a cursor.',
        );
      }
      return JSON.parse(text) as Place;
    },
  };
}
export type Cursors = ReturnType<typeof cursorsSealedWith>;
