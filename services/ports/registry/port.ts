/** What a container registry asks of those who push and pull. */
export interface RegistryLogin {
  /** `https://host`, without a slash at the end. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/**
 * Gives a login, the same one for as long as it is good.
 * @param refused what the registry has just refused: it is not given again
 */
export type LogIn = (refused?: RegistryLogin) => Promise<RegistryLogin>;

/** Lets accounts push to their own repositories of a container registry, and to no others. */
export interface RegistryAccess {
  /** A login that is good for the repositories `PREFIX/ACCOUNT/…` only. */
  authorize(account: string): Promise<RegistryLogin>;
  /** What the names of an account's repositories begin with, `PREFIX/ACCOUNT`. */
  repositoryPrefix(account: string): string;
}
