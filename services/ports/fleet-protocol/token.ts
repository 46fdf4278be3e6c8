import { readFile } from 'node:fs/promises';
import { ProblemError } from '../../core/errors.ts';

/** Kubernetes writes a new token long before the old one's time is over: a minute late does no harm. */
const keptMs = 60_000;

/**
 * What a peer proves itself by, as it is at each moment.
 * @param given the token, or the path of the file that holds it, as the schemas of environments see to
 */
export function peerToken(
  given: { readonly token: string | undefined; readonly file: string | undefined },
  now: () => number = Date.now,
): string | (() => Promise<string>) {
  return given.file === undefined ? (given.token ?? '') : tokenOfFile(given.file, now);
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
