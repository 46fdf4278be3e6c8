/** Texts that nobody may read but who is allowed to, each under a name of its own. */
export interface Secrets {
  /** @returns undefined where there is such a secret and it has no text yet */
  get(id: string): Promise<string | undefined>;
  /**
   * Gives a secret its first text. Of several at once one wins, and a secret that has had one keeps it.
   * @returns the text that it has afterwards
   */
  putFirst(id: string, text: string): Promise<string>;
}
