import type { z } from 'zod';
import { maxLogCharacters, type RunnerEvent } from '../ports/fleet-protocol/port.ts';

export type JsonValue = z.core.util.JSONType;
/** What a run shows before it has ended. */
export type ProgressEvent = Exclude<RunnerEvent, { type: 'ended' }>;

export interface TranscriptOptions {
  /** Whether elements of the output are shown as they come. */
  readonly streams: boolean;
  readonly maxOutputChars: number;
  onProgress(event: ProgressEvent): void;
  /** Called once, when the model has put out more than it may. */
  onTooLarge(): void;
}

/**
 * What one run has put out and printed so far, put together from sources that overlap, repeat and come late. It only
 * ever grows: what was shown is never taken back or shown twice.
 */
export class Transcript {
  readonly #options: TranscriptOptions;
  readonly #outputs: JsonValue[] = [];
  #outputChars = 0;
  #logHead = '';
  #logTail = '';
  #logChars = 0;

  constructor(options: TranscriptOptions) {
    this.#options = options;
  }

  /** Elements that were put out; always empty where the output does not stream. */
  get outputs(): readonly JsonValue[] {
    return this.#outputs;
  }

  /** What was printed; the middle is cut out where it is long. */
  get logs(): string {
    return this.#logTail === '' ? this.#logHead : joinLogs(this.#logHead, this.#logTail, this.#logChars);
  }

  /** Whether the model has put out more than a job may. */
  get isTooLarge(): boolean {
    return this.#outputChars > this.#options.maxOutputChars;
  }

  /** Another element; one that is known, or that comes before its predecessor, is left out. */
  addOutput(index: number, chunk: JsonValue, chars: number): void {
    if (!this.#options.streams || index !== this.#outputs.length || this.isTooLarge) return;
    this.#outputChars += chars;
    if (this.isTooLarge) {
      this.#options.onTooLarge();
      return;
    }
    this.#outputs.push(chunk);
    this.#options.onProgress({ type: 'output', index, chunk });
  }

  /** All elements so far, as a source that repeats itself tells them. */
  seeOutputs(all: readonly JsonValue[]): void {
    for (let index = this.#outputs.length; index < all.length; index++) {
      const chunk = all[index] ?? null;
      this.addOutput(index, chunk, JSON.stringify(chunk).length);
    }
  }

  /** More that was printed. */
  addLogs(text: string): void {
    if (text === '') return;
    const shown = Math.max(0, maxLogCharacters - this.#logChars);
    if (shown > 0) this.#options.onProgress({ type: 'logs', text: text.slice(0, shown) });
    this.#logChars += text.length;
    const room = Math.max(0, maxLogCharacters / 2 - this.#logHead.length);
    this.#logHead += text.slice(0, room);
    this.#logTail += text.slice(room);
    // Cut seldom, not with every line.
    if (this.#logTail.length > maxLogCharacters) this.#logTail = this.#logTail.slice(-maxLogCharacters / 2);
  }

  /** All that was printed so far, as a source that repeats itself tells it. */
  seeLogs(all: string): void {
    if (all.length > this.#logChars) this.addLogs(all.slice(this.#logChars));
  }
}

/** Cuts the middle out of logs that are longer than a job may keep. */
export function cutLogs(text: string): string {
  if (text.length <= maxLogCharacters) return text;
  return joinLogs(text.slice(0, maxLogCharacters / 2), text.slice(maxLogCharacters / 2), text.length);
}

function joinLogs(head: string, tail: string, chars: number): string {
  if (chars <= maxLogCharacters) return head + tail;
  const keep = maxLogCharacters / 2 - 100;
  const notice = `\n[… ${chars - 2 * keep} characters left out …]\n`;
  return head.slice(0, keep) + notice + tail.slice(-keep);
}
