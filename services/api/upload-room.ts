import { ProblemError } from '../core/errors.ts';

/** A share of the room that one account may have: it must not shut the others out. */
const accountShare = 0.5;
const retrySeconds = 5;

/** What uploads may hold of a process's memory. */
export interface UploadRoomSize {
  /** All of them together. */
  readonly bytes: number;
  /** One upload holds no more than this, however large its file is. */
  readonly bytesEach: number;
}

/** Bounds what the uploads of one process hold of its memory together; small files hardly count. */
export class UploadRoom {
  readonly #size: UploadRoomSize;
  readonly #taken = new Map<string, number>();
  #total = 0;

  constructor(size: UploadRoomSize) {
    this.#size = size;
  }

  /**
   * Takes room for one upload.
   * @param length of its body; undefined where that is not known
   * @returns gives the room back; to be called once
   * @throws ProblemError `unavailable` where there is none now
   */
  enter(account: string, length: number | undefined): () => void {
    const { bytes, bytesEach } = this.#size;
    const wanted = Math.min(length ?? bytesEach, bytesEach);
    const own = this.#taken.get(account) ?? 0;
    if (this.#total + wanted > bytes || own + wanted > bytes * accountShare)
      throw new ProblemError('unavailable', 'Too many uploads are under way here. Try again in a moment.', {
        'retry-after': String(retrySeconds),
      });
    this.#set(account, own + wanted);
    return () => this.#set(account, (this.#taken.get(account) ?? 0) - wanted);
  }

  #set(account: string, bytes: number): void {
    this.#total += bytes - (this.#taken.get(account) ?? 0);
    if (bytes > 0) this.#taken.set(account, bytes);
    else this.#taken.delete(account);
  }
}
