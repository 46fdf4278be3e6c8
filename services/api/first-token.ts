import { randomBytes } from 'node:crypto';
import { newToken } from '../core/ids.ts';
import type { Accounts } from '../data/accounts.ts';
import type { Secrets } from '../ports/secrets/port.ts';

/** The account whose token comes with the platform. */
export const firstAccount = 'admin';

export interface FirstTokenParts {
  readonly accounts: Accounts;
  readonly secrets: Secrets;
  /** The secret that is to hold the token. */
  readonly secretId: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/**
 * Makes the platform's first account and its token, once in the platform's life: a start after it finds that it was
 * made, whatever has become of the token or the secret since.
 *
 * The secret decides which token it is, and the table that there is one. Whoever dies between the two leaves the token
 * in the secret, where the next start finds it; of several at once all write the same token, and one of them wins.
 * @returns whether this call made it
 */
export async function ensureFirstToken(parts: FirstTokenParts): Promise<boolean> {
  const { accounts, secrets, secretId, now } = parts;
  if (await accounts.hadFirstToken(firstAccount)) return false;
  const secret = (await secrets.get(secretId)) ?? (await secrets.putFirst(secretId, newToken()));
  const createdAt = now();
  return await accounts.putFirst(
    { username: firstAccount, type: 'user', name: firstAccount, githubUrl: null, avatarUrl: null, createdAt },
    secret,
    { id: randomBytes(6).toString('hex'), account: firstAccount, name: 'first', createdAt, revokedAt: null },
  );
}
