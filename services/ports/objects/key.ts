import { ProblemError } from '../../core/errors.ts';
import { maxKeyBytes } from './port.ts';

/** The longest name that common file systems take is 255 bytes; one is ours. */
const maxSegmentCharacters = 254;

const segmentPattern = /^[A-Za-z0-9._-]+$/;

/**
 * The segments of a key, which is safe to use in paths and URLs as it stands.
 * @throws ProblemError `invalid_request` where it is not a key
 */
export function parseObjectKey(key: string): readonly string[] {
  const segments = key.split('/');
  const fault =
    key.length > maxKeyBytes
      ? `it is longer than ${maxKeyBytes} characters`
      : segments.map(faultOf).find(Boolean);
  if (fault !== undefined) {
    throw new ProblemError(
      'invalid_request',
      `${JSON.stringify(key.slice(0, 200))} is not an object's key: ${fault}.`,
    );
  }
  return segments;
}

function faultOf(segment: string): string | undefined {
  if (segment === '') return 'it begins or ends with a slash, or has two in a row, or is empty';
  if (segment === '.' || segment === '..') return 'it has . or .. as a segment';
  if (segment.length > maxSegmentCharacters)
    return `a segment is longer than ${maxSegmentCharacters} characters`;
  if (!segmentPattern.test(segment)) return 'a segment may have letters, digits, ".", "_" and "-" only';
  return undefined;
}
