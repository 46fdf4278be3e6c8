import { readFile } from 'node:fs/promises';
import { ProblemError } from '../core/errors.ts';
import type { DirectorEnv } from './env.ts';

/** Kubernetes writes a new token long before the old one's time is over: a minute late does no harm. */
const keptMs = 60_000;

/**
 * What the director proves itself by, as it is at each moment.
 * @param env holds the token or its file's path, as its schema sees to
 */
export function directorToken(
  env: Pick<DirectorEnv, 'MIMEO_DIRECTOR_TOKEN' | 'MIMEO_DIRECTOR_TOKEN_FILE'>,
  now: () => number = Date.now,
): string | (() => Promise<string>) {
  const { MIMEO_DIRECTOR_TOKEN: token, MIMEO_DIRECTOR_TOKEN_FILE: file } = env;
  return file === undefined ? (token ?? '') : tokenOfFile(file, now);
}

/** A token that is read again at most every minute. @throws ProblemError `unavailable` where it cannot be read */
function tokenOfFile(path: string, now: () => number): () => Promise<string> {
  let kept: { readonly token: string; readonly until: number } | undefined;
  return async () => {
    if (kept && now() < kept.until) return kept.token;
    const token = await readFile(path, 'utf8').catch((cause: unknown) => {
      throw new ProblemError('unavailable', `The token at ${path} could not be read: ${String(cause)}`);
    });
    if (token.trim() === '') throw new ProblemError('unavailable', `The token at ${path} is empty.`);
    kept = { token: token.trim(), until: now() + keptMs };
    return kept.token;
  };
}
