import { z } from 'zod';
import type { Client } from './client.ts';
import { usageError } from './failure.ts';
import { dockerLogin } from './programs.ts';

const tokenAnswer = z.looseObject({
  registry: z.string(),
  username: z.string(),
  password: z.string(),
  created_at: z.string(),
  expires_at: z.string(),
  repository_prefix: z.string(),
});

/** Where an account's images go. */
export interface ImageRepositories {
  /** `registry/prefix`: a model's images are `registry/prefix/NAME`. */
  readonly prefix: string;
  readonly registry: string;
  /** By the server's clock. */
  readonly createdAt: string;
  readonly expiresAt: string;
}

/** Logs Docker in to the server's registry, for the caller's own repositories. */
export async function logInToRegistry(client: Client, signal: AbortSignal): Promise<ImageRepositories> {
  const token = await client.call('POST', '/registry/token', tokenAnswer, { signal });
  await dockerLogin(token, signal);
  const { registry, repository_prefix: repositoryPrefix } = token;
  return {
    registry,
    prefix: `${registry}/${repositoryPrefix}`,
    createdAt: token.created_at,
    expiresAt: token.expires_at,
  };
}

/**
 * ECR takes fewer names than a model may have.
 * @throws CliError
 */
export function checkRepositoryName(owner: string, name: string): void {
  const odd = [owner, name].find((part) => !/^[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(part));
  if (odd === undefined) return;
  throw usageError(
    `"${odd}" cannot be part of an image's name: a dot, dash or underscore stands alone between letters or digits. ` +
      'Choose another name.',
  );
}
