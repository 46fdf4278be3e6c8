import type { Readable } from 'node:stream';

/** S3: bytes of a key in UTF-8. */
export const maxKeyBytes = 1024;

export interface ObjectInfo {
  readonly size: number;
  readonly contentType: string;
}

export interface StoredObject extends ObjectInfo {
  readonly body: Readable;
}

/** Large values and files, by key (`account/…`): segments of letters, digits, `.`, `_` and `-` joined by `/`. */
export interface Objects {
  /**
   * Stores a stream whole or not at all; an object of the same key is replaced.
   * @throws ProblemError `payload_too_large` when the stream is longer than `maxBytes`
   */
  put(
    key: string,
    body: Readable | Uint8Array,
    options: { readonly contentType: string; readonly maxBytes?: number },
  ): Promise<ObjectInfo>;
  /** undefined where there is no such object. `range` is inclusive at both ends, as in HTTP. */
  get(
    key: string,
    options?: { readonly range?: { readonly start: number; readonly end?: number } },
  ): Promise<StoredObject | undefined>;
  head(key: string): Promise<ObjectInfo | undefined>;
  /** Removing what is not there is no error. */
  remove(key: string): Promise<void>;
  /** A URL that reads the object without a token until it expires. */
  signGet(key: string, options: { readonly expiresSeconds: number }): Promise<string>;
  /** A URL that stores the object by HTTP PUT without a token until it expires. */
  signPut(
    key: string,
    options: { readonly expiresSeconds: number; readonly contentType: string },
  ): Promise<string>;
}
