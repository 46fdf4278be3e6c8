import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { ProblemError } from '../core/errors.ts';

export interface Requirements {
  /** The lines that ask for a distribution, by its name as PEP 503 writes it. */
  readonly byName: ReadonlyMap<string, string>;
  /** SHA-256 over every line that counts and every local file that is named. */
  readonly digest: string;
}

const artifact = /^[^#]+\.(whl|zip|tgz|tar\.(gz|bz2|xz))$/;

/**
 * Reads a pip requirements file and those that it includes.
 * Paths are taken from the folder of the file that names them, and stay inside `root`, as Cog has it.
 * @throws ProblemError `invalid_model` naming file and line
 */
export async function readRequirements(root: string, file: string): Promise<Requirements> {
  const byName = new Map<string, string>();
  const hash = createHash('sha256');
  const seen = new Set<string>();

  async function read(path: string, askedBy: string): Promise<void> {
    if (seen.has(path)) return;
    seen.add(path);
    const content = await readInside(root, path, askedBy);
    for (const [index, raw] of content.toString('utf8').split(/\r?\n/).entries()) {
      const line = raw.replace(/(^|\s)#.*$/, '').trim();
      if (line === '') continue;
      hash.update(`${line}\n`);
      const where = `${path}:${index + 1}`;
      const included = /^(?:-r|-c|--requirement|--constraint)(?:\s+|=)(.+)$/.exec(line)?.[1];
      if (included) await read(join(dirname(path), included.trim()), where);
      else if (/^(-e|--editable)\b/.test(line) || /^\.{0,2}\/?$|^\.{1,2}\/[^@]*$|^file:/.test(line)) {
        if (!artifact.test(line) || line.startsWith('-')) throw localFolder(where, line);
        await readArtifact(join(dirname(path), line), where);
      } else if (artifact.test(line) && !line.includes('://') && !line.includes('@')) {
        await readArtifact(join(dirname(path), line), where);
      } else {
        const name = requirementName(line);
        if (name) byName.set(name, line);
      }
    }
  }
  async function readArtifact(path: string, askedBy: string): Promise<void> {
    hash.update(await readInside(root, path, askedBy));
  }

  await read(normalize(file), 'cog.yaml');
  return { byName, digest: hash.digest('hex') };
}

/** The name of the distribution that a requirement asks for, as PEP 503 writes it. */
export function requirementName(requirement: string): string | undefined {
  return /^[A-Za-z0-9][\w.-]*/
    .exec(requirement.trim())?.[0]
    .toLowerCase()
    .replace(/[-_.]+/g, '-');
}

async function readInside(root: string, path: string, askedBy: string): Promise<Buffer> {
  const full = join(root, path);
  const inside = relative(root, full);
  if (inside === '..' || inside.startsWith(`..${sep}`)) {
    throw new ProblemError('invalid_model', `${askedBy}: ${path} lies outside the folder; move it inside`);
  }
  try {
    return await readFile(full);
  } catch {
    throw new ProblemError(
      'invalid_model',
      `${askedBy}: there is no file ${path} in the folder; check the name and .dockerignore`,
    );
  }
}

function localFolder(where: string, line: string): ProblemError {
  return new ProblemError(
    'invalid_model',
    `${where}: \`${line}\` installs a local folder, which Cog does not; name a wheel or archive inside the folder, ` +
      'or import the code directly',
  );
}
