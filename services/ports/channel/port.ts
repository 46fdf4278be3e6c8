/** Events that are kept for readers who come late or come back, per topic. */
export const memoryEvents = 4096;
/**
 * Bytes that these events have together, ids and types included, before the oldest are forgotten; the last one is kept
 * whatever it has. Each look at a running job reads all of them. (In the memory of a process it is characters of data.)
 */
export const memoryBytes = 4 * 1024 * 1024;
/** Seconds that a topic's memory outlives its last event. */
export const memorySeconds = 300;

export interface ChannelEvent {
  /** Chosen by the publisher, unique in its topic. */
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

/** What a late reader gets first: what is remembered after `after`, and whether anything before that was forgotten. */
export interface Replay {
  /** With a `gap`: everything that is remembered, so that a reader can join it to the stored output by the ids. */
  readonly events: readonly ChannelEvent[];
  /** True where `after` is unknown here or the memory no longer reaches back to it: read the stored output instead. */
  readonly gap: boolean;
}

export interface Subscription {
  readonly replay: Replay;
  /** Idempotent. No listener is called after it. */
  close(): void;
}

/**
 * Live events. Best effort: a doorbell and a short memory, never the truth. A reader that is slow does not slow the
 * writer. Listeners are called in the order of publication and must not throw.
 */
export interface Channel {
  /** Tells whoever listens now, and remembers. */
  publish(topic: string, event: ChannelEvent): Promise<void>;
  /** Tells whoever listens now, and remembers nothing: for wake-ups. */
  ring(topic: string): Promise<void>;
  /**
   * Calls `listener` for each event from now on (undefined for a `ring`), after the replay that is returned.
   * @param after id of the last event that the reader has seen; undefined: everything that is remembered
   */
  subscribe(
    topic: string,
    listener: (event: ChannelEvent | undefined) => void,
    after?: string,
  ): Promise<Subscription>;
  close(): Promise<void>;
}
