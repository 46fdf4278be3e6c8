import { ProblemError } from '../../core/errors.ts';

/** An opaque cursor from the place where a page ended. */
export function encodeCursor(place: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/**
 * The place in a cursor that came back from a client.
 * @param types the `typeof` of each part that this query's places have
 * @throws ProblemError `invalid_request` where it is not a cursor of this kind of query
 */
export function decodeCursor(
  cursor: string,
  types: readonly ('string' | 'number')[],
): readonly (string | number)[] {
  const bytes = Buffer.from(cursor, 'base64url');
  // Buffer skips what is not base64url: only the exact spelling is ours.
  const place = bytes.toString('base64url') === cursor ? parse(bytes.toString()) : undefined;
  if (
    !Array.isArray(place) ||
    place.length !== types.length ||
    place.some((part, at) => typeof part !== types[at])
  ) {
    throw new ProblemError(
      'invalid_request',
      'The cursor is not one that this list gave out. Ask for the first page without a cursor.',
    );
  }
  return place;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
