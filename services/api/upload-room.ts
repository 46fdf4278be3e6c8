import { ProblemError } from '../core/errors.ts';

/** A share of the room that one account may have: it must not shut the others out. */
const accountShare = 0.5;
/** How long an upload waits for room: who sends several at once, as a batch does, is served one after the other. */
const longestWaitMs = 30_000;
const retrySeconds = 5;

/** What uploads may hold of a process's memory. */
export interface UploadRoomSize {
  /** All of them together. */
  readonly bytes: number;
  /** One upload holds no more than this, however large its file is. */
  readonly bytesEach: number;
  /** @default 30 s */
  readonly waitMs?: number;
}

interface Upload {
  readonly account: string;
  readonly bytes: number;
}

/** Bounds what the uploads of one process hold of its memory together; small files hardly count. */
export class UploadRoom {
  readonly #size: UploadRoomSize;
  readonly #held = new Set<Upload>();
  /** In the order in which they came. */
  readonly #waiting = new Map<Upload, () => void>();

  constructor(size: UploadRoomSize) {
    this.#size = size;
  }

  /**
   * Takes room for one upload, whose body nobody reads until then.
   * @param length of its body; undefined where that is not known
   * @returns gives the room back
   * @throws ProblemError `unavailable` where there is none for too long
   */
  async enter(account: string, length: number | undefined): Promise<() => void> {
    const { bytesEach } = this.#size;
    const upload = { account, bytes: Math.min(length ?? bytesEach, bytesEach) };
    if (this.#fits(upload)) this.#held.add(upload);
    else await this.#wait(upload);
    return () => {
      this.#held.delete(upload);
      this.#letIn();
    };
  }

  async #wait(upload: Upload): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      this.#waiting.delete(upload);
      reject(noRoom());
    }, this.#size.waitMs ?? longestWaitMs);
    this.#waiting.set(upload, resolve);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Each that fits, the one that has waited longest first. */
  #letIn(): void {
    for (const [upload, enter] of this.#waiting) {
      if (!this.#fits(upload)) continue;
      this.#waiting.delete(upload);
      this.#held.add(upload);
      enter();
    }
  }

  #fits({ account, bytes }: Upload): boolean {
    let [all, own] = [bytes, bytes];
    for (const held of this.#held) {
      all += held.bytes;
      if (held.account === account) own += held.bytes;
    }
    return all <= this.#size.bytes && own <= this.#size.bytes * accountShare;
  }
}

function noRoom(): ProblemError {
  const detail = 'Too many uploads are under way here. Try again in a moment.';
  return new ProblemError('unavailable', detail, { 'retry-after': String(retrySeconds) });
}
