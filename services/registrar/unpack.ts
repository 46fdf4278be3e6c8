import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { extract, type ReadEntry } from 'tar';
import { isDiskFull } from '../core/disk-full.ts';
import { ProblemError } from '../core/errors.ts';
import { isLeftOut } from './digest.ts';
import { maxSourceBytes, maxSourceEntries, staysInside, tooLarge } from './limits.ts';

/**
 * Unpacks a tar.gz (or a plain tar) into an empty folder. Nothing is written outside of it, and no link leads out.
 * What is never part of a model is passed over.
 * @throws ProblemError `invalid_model` for an archive that is broken or not to be trusted, `payload_too_large` above
 *   `maxBytes` of files
 */
export async function unpack(
  archive: Readable,
  folder: string,
  options: { readonly maxBytes?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { maxBytes = maxSourceBytes, signal } = options;
  let bytes = 0;
  let entries = 0;
  let problem: Error | undefined;
  const unpacking = extract({
    cwd: folder,
    strict: true,
    // Owners of another machine mean nothing on this one.
    preserveOwner: false,
    noMtime: true,
    filter: (path, entry) => {
      if (problem || !('type' in entry)) return false;
      const tidy = path.replace(/^(\.\/+)+/, '').replace(/\/+$/, '');
      problem = entryProblem(tidy, entry);
      // Readable for us whoever packed it, and never setuid.
      entry.mode = ((entry.mode ?? 0o644) & 0o777) | (entry.type === 'Directory' ? 0o700 : 0o600);
      bytes += entry.size;
      entries++;
      if (bytes > maxBytes) problem ??= tooLarge(maxBytes);
      if (entries > maxSourceEntries) {
        problem ??= new ProblemError(
          'payload_too_large',
          `The archive holds more than ${maxSourceEntries} files`,
        );
      }
      return problem === undefined && tidy !== '' && tidy !== '.' && !isLeftOut(tidy);
    },
  });
  unpacking.on('error', (error: Error) => {
    problem ??= isDiskFull(error) ? error : brokenArchive(error.message);
  });
  const closed = once(unpacking, 'close').catch(() => undefined);

  let received = 0;
  for await (const chunk of archive) {
    signal?.throwIfAborted();
    received += (chunk as Buffer).length;
    if (received > maxBytes) problem ??= tooLarge(maxBytes);
    if (problem) throw problem;
    if (!unpacking.write(chunk as Buffer)) await Promise.race([once(unpacking, 'drain'), closed]);
  }
  if (problem) throw problem;
  unpacking.end();
  await closed;
  if (problem) throw problem;
  if (entries === 0) throw brokenArchive('it is empty');
}

function entryProblem(path: string, entry: ReadEntry): ProblemError | undefined {
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path) || path.split(/[\\/]/).includes('..')) {
    return new ProblemError(
      'invalid_model',
      `The archive holds ${path}, which lies outside the model's folder`,
    );
  }
  switch (entry.type) {
    case 'File':
    case 'OldFile':
    case 'ContiguousFile':
    case 'Directory':
    case 'GNUDumpDir':
      return undefined;
    case 'SymbolicLink':
      return staysInside(path, entry.linkpath ?? '/') ? undefined : leadsOut(path, entry);
    case 'Link':
      // A hard link names its target from the top of the archive.
      return staysInside('x', entry.linkpath ?? '/') ? undefined : leadsOut(path, entry);
    default:
      return new ProblemError('invalid_model', `${path} is neither file, folder nor link (${entry.type})`);
  }
}

function leadsOut(path: string, entry: ReadEntry): ProblemError {
  return new ProblemError(
    'invalid_model',
    `${path} links to ${entry.linkpath}, outside the folder; copy the file in instead`,
  );
}

function brokenArchive(reason: string): ProblemError {
  return new ProblemError(
    'invalid_model',
    `The body is not a readable tar.gz of a model's folder: ${reason}`,
  );
}
