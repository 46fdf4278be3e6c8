import { nameSchema } from '../../core/model.ts';
import { usageError } from '../failure.ts';

/**
 * Reads `owner/name`.
 * @throws CliError saying what is wrong with it
 */
export function readModelName(text: string): { owner: string; name: string } {
  const [owner = '', name = '', ...rest] = text.split('/');
  if (!owner || !name || rest.length > 0) {
    throw usageError(`"${text}" is not a model's name: write OWNER/NAME, as in local/my-model`);
  }
  for (const [part, value] of [
    ['owner', owner],
    ['name', name],
  ]) {
    const checked = nameSchema.safeParse(value);
    if (!checked.success) throw usageError(`The ${part} "${value}" ${checked.error.issues[0]?.message}.`);
  }
  return { owner, name };
}

/**
 * Reads `owner/name` or `owner/name:version`.
 * @throws CliError saying what is wrong with it
 */
export function readTarget(target: string): { name: string; versionId: string | undefined } {
  const [model = '', versionId, ...rest] = target.split(':');
  const { owner, name } = readModelName(model);
  if (rest.length > 0 || (versionId !== undefined && !/^[0-9a-f]{64}$/.test(versionId))) {
    throw usageError(`"${target.slice(model.length + 1)}" is not a version: versions have 64 hex digits`);
  }
  return { name: `${owner}/${name}`, versionId };
}
