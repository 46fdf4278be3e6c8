/**
 * A way through a partition of an index, page by page. An index lags: for a moment it still holds what was just taken out
 * of it, and whoever looks at its head again finds that alone, which reads as nothing. So a walk goes on behind it, and
 * begins anew once it came to the end, or failed.
 */
export class Walk {
  #cursor: string | undefined;

  /**
   * @param take takes up the page from a cursor on, and says where the next one begins
   * @returns whether there is a next one
   */
  async step(take: (cursor: string | undefined) => Promise<string | undefined>): Promise<boolean> {
    const cursor = this.#cursor;
    this.#cursor = undefined;
    this.#cursor = await take(cursor);
    return this.#cursor !== undefined;
  }
}
