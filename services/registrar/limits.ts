import { posix } from 'node:path';
import { ProblemError } from '../core/errors.ts';

/** Most that the files of a model may have together, unpacked. */
export const maxSourceBytes = 2 * 1024 ** 3;
/** Longest README.md that is shown as its model's readme: it is one item of the Table. */
export const maxReadmeBytes = 256 * 1024;
/** Most files, folders and links of a model. */
export const maxSourceEntries = 100_000;

/**
 * Whether a symbolic link at `path` (POSIX, relative) leads to something inside the folder.
 * `..` may only stand at the beginning of a target: after the name of another link it would not lead where it seems.
 */
export function staysInside(path: string, target: string): boolean {
  if (posix.isAbsolute(target) || /(^|\/)(?!\.{1,2}\/)[^/]+\/(.*\/)?\.\.(\/|$)/.test(target)) return false;
  const resolved = posix.normalize(posix.join(posix.dirname(path), target));
  return resolved !== '..' && !resolved.startsWith('../');
}

/** For a folder or archive above `maxSourceBytes`. */
export function tooLarge(limitBytes: number): ProblemError {
  return new ProblemError(
    'payload_too_large',
    `The folder holds more than ${Math.round(limitBytes / 1024 ** 2)} MiB; leave files out with .dockerignore and ` +
      'fetch large weights in setup()',
  );
}
