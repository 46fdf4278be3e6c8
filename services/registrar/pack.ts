import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { create } from 'tar';
import { ProblemError } from '../core/errors.ts';
import { type Ignoring, listFolder } from './digest.ts';
import { parseDockerignore } from './dockerignore.ts';
import { maxSourceBytes, maxSourceEntries, staysInside, tooLarge } from './limits.ts';

export interface PackedFolder {
  /** A tar.gz. */
  readonly stream: Readable;
  /** How many files, links and empty folders are in it. */
  readonly files: number;
  /** Size of the files before they are compressed. */
  readonly bytes: number;
}

/**
 * Packs a model's folder for a push: everything but what `.dockerignore` names, version control, virtual environments
 * and caches.
 * @throws ProblemError `invalid_model` where there is no cog.yaml or a link leads out of the folder,
 *   `payload_too_large` above `maxBytes`
 */
export async function packFolder(folder: string, maxBytes: number = maxSourceBytes): Promise<PackedFolder> {
  const info = await stat(join(folder, 'cog.yaml')).catch(() => undefined);
  if (!info?.isFile()) {
    throw new ProblemError(
      'invalid_model',
      `${folder} has no cog.yaml; go to the folder of a Cog model, or see https://cog.run for how to write one`,
    );
  }
  const entries = await listFolder(folder, await readDockerignore(folder));
  let bytes = 0;
  for (const entry of entries) {
    if (entry.kind === 'file') bytes += entry.sizeBytes;
    if (entry.kind === 'link' && !staysInside(entry.path, entry.target)) {
      throw new ProblemError(
        'invalid_model',
        `${entry.path} links to ${entry.target}, outside the folder; copy the file in or name it in .dockerignore`,
      );
    }
  }
  if (bytes > maxBytes) throw tooLarge(maxBytes);
  if (entries.length > maxSourceEntries) {
    throw new ProblemError(
      'payload_too_large',
      `The folder holds more than ${maxSourceEntries} files; leave some out with .dockerignore`,
    );
  }
  // With ./ in front, a name that begins with @ is not taken for an archive, nor one with - for an option.
  const packed = create(
    { gzip: true, cwd: folder, portable: true, noDirRecurse: true },
    entries.map(({ path }) => `./${path}`),
  );
  return { stream: Readable.from(packed, { objectMode: false }), files: entries.length, bytes };
}

async function readDockerignore(folder: string): Promise<Ignoring> {
  const { ignores, hasExceptions } = parseDockerignore(
    await readFile(join(folder, '.dockerignore'), 'utf8').catch(() => ''),
  );
  // Cog reads its own file whatever .dockerignore says.
  return { ignores: (path) => path !== 'cog.yaml' && ignores(path), hasExceptions };
}
