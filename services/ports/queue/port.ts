/** SQS: seconds that one message may be delayed. */
export const maxDelaySeconds = 900;
/** SQS: seconds that one long poll may take. */
export const maxWaitSeconds = 20;
/** Seconds after which a message that was received and not removed is handed out again. */
export const visibilitySeconds = 30;

/** A hint that a job waits. Losing one loses nothing: the sweeper sends it anew. */
export interface Message {
  readonly jobId: string;
  /** The account, so that a busy one does not starve the others. */
  readonly group: string;
}

export interface Received extends Message {
  /** Removes the message. Only the process that received it can: no receipt crosses a process. */
  remove(): Promise<void>;
  /** Hands the message out again at once. */
  release(): Promise<void>;
}

/**
 * One queue a pool; queues come into being with their first message. At least once; in about the order of sending, of
 * which no reader may depend on more.
 */
export interface Queue {
  /** @param delaySeconds 0 to `maxDelaySeconds` */
  send(pool: string, message: Message, options?: { readonly delaySeconds?: number }): Promise<void>;
  /**
   * The next message, or undefined after `waitSeconds` (0 to `maxWaitSeconds`) or when `signal` aborts.
   * A message that arrives as the signal aborts is put back.
   */
  receive(
    pool: string,
    options: { readonly waitSeconds: number; readonly signal?: AbortSignal },
  ): Promise<Received | undefined>;
  /** Removes a pool's queue with all that is in it; no error where there is none. */
  drop(pool: string): Promise<void>;
  close(): Promise<void>;
}

/** Sends messages to one queue that somebody else reads, such as a Lambda function. */
export interface MessageSender {
  /** @throws Error where one of them was not taken; others may have been */
  send(
    messages: readonly {
      readonly body: string;
      /** The account: a busy one does not starve the others. */
      readonly group: string;
      /** 0 to `maxDelaySeconds` */
      readonly delaySeconds: number;
    }[],
  ): Promise<void>;
}

/** @throws RangeError where the cloud would refuse it */
export function assertDelay(seconds: number): void {
  assertSeconds('delaySeconds', seconds, maxDelaySeconds);
}

/** @throws RangeError where the cloud would refuse it */
export function assertWait(seconds: number): void {
  assertSeconds('waitSeconds', seconds, maxWaitSeconds);
}

function assertSeconds(name: string, seconds: number, max: number): void {
  if (!(seconds >= 0 && seconds <= max)) throw new RangeError(`${name} is from 0 to ${max}, not ${seconds}`);
}
