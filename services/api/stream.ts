import { hasEnded, type Job } from '../core/job.ts';
import { filesOfElement } from '../core/output-files.ts';
import type { JobRecord, Jobs } from '../data/jobs.ts';
import {
  decodeOutput,
  formatPlace,
  jobTopic,
  type OutputElement,
  type Place,
  parsePlace,
} from '../data/progress.ts';
import { type Channel, type ChannelEvent, memoryEvents } from '../ports/channel/port.ts';
import type { Objects } from '../ports/objects/port.ts';
import type { Value } from '../ports/table/port.ts';
import { withUrls } from './output-urls.ts';

/** Events that wait for a slow reader; what comes beyond them is for the channel to remember, and then for the end. */
const unreadEvents = 4 * memoryEvents;
/** How long a silent stream goes without looking itself, should its doorbell be lost. */
const secondLookMs = 2000;

/** One event of a prediction's stream. */
export interface StreamEvent {
  readonly id: string;
  readonly event: 'output' | 'logs' | 'error' | 'done';
  readonly data: string;
}

const beginning: Place = { attempt: 0, chunk: 0, log: 0 };

/**
 * A prediction's output and logs as they come, to its end. The channel gives them live; what it has forgotten, and
 * anything that it lost, comes from the stored output, so that no element is missed, repeated or out of order.
 * @param lastEventId where a reader who comes back has got to
 */
export async function* streamEvents(
  parts: { readonly jobs: Jobs; readonly channel: Channel; readonly objects: Objects },
  id: string,
  lastEventId: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  for await (const { element, ...event } of followJob(parts, id, lastEventId, signal)) {
    const job = element && (await parts.jobs.get(id));
    if (!job) yield event;
    else
      yield { ...event, data: outputText(await withUrls(parts.objects, job, element.chunk, element.files)) };
  }
}

/** An event whose files have no URLs yet. */
interface UnsignedEvent extends StreamEvent {
  /** Given where it has files. */
  readonly element?: OutputElement | undefined;
}

async function* followJob(
  parts: { readonly jobs: Jobs; readonly channel: Channel },
  id: string,
  lastEventId: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<UnsignedEvent> {
  const inbox = new Inbox();
  const resumed = parsePlace(lastEventId ?? '');
  const reader = new Reader(resumed ?? beginning);
  let unsubscribe = () => {};
  async function* join(after: string | undefined): AsyncGenerator<UnsignedEvent> {
    unsubscribe();
    const put = (event: ChannelEvent | undefined) => inbox.put(event);
    const subscription = await parts.channel.subscribe(jobTopic(id), put, after);
    unsubscribe = () => subscription.close();
    const { events, gap } = subscription.replay;
    if (!gap) yield* reader.live(events);
    // Also where the memory was lost, which itself knows of none before it.
    if (!gap && !reader.hasSkipped) return;
    yield* reader.stored(await parts.jobs.record(id));
    yield* reader.live(events);
  }
  const leave = () => inbox.put(undefined);
  signal.addEventListener('abort', leave, { once: true });
  try {
    yield* join(resumed && lastEventId);
    while (!signal.aborted) {
      // Whoever reads so slowly that something was left out is served like one who comes back.
      if (inbox.startAnew() || reader.startAnew()) yield* join(reader.place);
      const record = await parts.jobs.record(id);
      // Read before the inbox is emptied: what was put out before the end is then in one of the two.
      yield* reader.live(inbox.take());
      if (!record) return;
      if (hasEnded(record.job.status)) {
        yield* reader.stored(record);
        yield* reader.end(record.job);
        return;
      }
      const lookedAt = performance.now();
      while (!signal.aborted && !(await inbox.wait(secondLookMs))) {
        yield* reader.live(inbox.take());
        if (reader.hasSkipped && performance.now() - lookedAt >= secondLookMs) break;
      }
    }
  } finally {
    signal.removeEventListener('abort', leave);
    unsubscribe();
  }
}

/** Knows what its reader has seen, and lets each thing through once. */
class Reader {
  #seen: Place;
  #skipped = false;

  constructor(seen: Place) {
    this.#seen = seen;
  }

  /** The id of what it has seen last; undefined where that is nothing. */
  get place(): string | undefined {
    return this.#seen.attempt === 0 ? undefined : formatPlace(this.#seen);
  }

  /** Whether elements came that could not be shown, because others before them did not come. */
  get hasSkipped(): boolean {
    return this.#skipped;
  }

  /** @returns whether it had skipped any */
  startAnew(): boolean {
    const skipped = this.#skipped;
    this.#skipped = false;
    return skipped;
  }

  *live(events: readonly ChannelEvent[]): Generator<UnsignedEvent> {
    for (const { id, type, data } of events) {
      const place = parsePlace(id);
      if (!place || !this.#isNext(place, type)) continue;
      this.#seen = place;
      const element = decodeOutput({ type, data });
      yield element ? outputEvent(id, element) : { id, event: 'logs', data };
    }
  }

  /** The part of the stored output that was not seen yet, and the logs where nothing of them was. */
  *stored(record: JobRecord | undefined): Generator<UnsignedEvent> {
    const result = record?.result;
    if (!record || !result || result.attempt < this.#seen.attempt) return;
    if (result.attempt > this.#seen.attempt) this.#seen = { attempt: result.attempt, chunk: 0, log: 0 };
    const untouched = this.#seen.chunk === 0 && this.#seen.log === 0;
    if (untouched && result.logs !== '') {
      this.#seen = { ...this.#seen, log: 1 };
      yield { id: formatPlace(this.#seen), event: 'logs', data: result.logs };
    }
    for (const element of elements(record).slice(this.#seen.chunk)) {
      this.#seen = { ...this.#seen, chunk: this.#seen.chunk + 1, log: 0 };
      yield outputEvent(formatPlace(this.#seen), element);
    }
  }

  *end(job: Job): Generator<StreamEvent> {
    const id = formatPlace(this.#seen);
    if (job.status === 'failed')
      yield { id, event: 'error', data: job.failure?.message ?? 'The prediction failed.' };
    const reason = job.status === 'failed' ? 'error' : job.status === 'canceled' ? 'canceled' : undefined;
    yield { id, event: 'done', data: JSON.stringify({ reason }) };
  }

  #isNext(place: Place, type: string): boolean {
    if (place.attempt < this.#seen.attempt) return false;
    // A later attempt begins anew.
    const seen = place.attempt > this.#seen.attempt ? { chunk: 0, log: 0 } : this.#seen;
    // An element that was skipped is not jumped over: the stored output has it.
    if (type !== 'logs') {
      this.#skipped ||= place.chunk > seen.chunk + 1;
      return place.chunk === seen.chunk + 1;
    }
    return place.chunk === seen.chunk && place.log > seen.log;
  }
}

/** The elements of an iterator's output; any other output is one element. */
function elements({ job, result }: JobRecord): readonly OutputElement[] {
  const output = result?.output ?? null;
  const files = result?.files;
  // A file stands as null in the output.
  if (output === null && !files) return [];
  if (!job.streams || !Array.isArray(output)) return [{ chunk: output, files }];
  return output.map((chunk: Value, index) => ({ chunk, files: filesOfElement(files, index) }));
}

function outputEvent(id: string, element: OutputElement): UnsignedEvent {
  if (element.files) return { id, event: 'output', data: '', element };
  return { id, event: 'output', data: outputText(element.chunk) };
}

function outputText(chunk: unknown): string {
  return typeof chunk === 'string' ? chunk : JSON.stringify(chunk);
}

/** Events that have come and were not read yet, a bounded number, and whether the doorbell was rung. */
class Inbox {
  #events: ChannelEvent[] = [];
  #rung = false;
  #overflowed = false;
  #wake: (() => void) | undefined;

  /** @param event undefined for a ring */
  put(event: ChannelEvent | undefined): void {
    if (!event) this.#rung = true;
    else if (this.#events.length >= unreadEvents) this.#overflowed = true;
    else if (!this.#overflowed) this.#events.push(event);
    this.#wake?.();
  }

  /** @returns whether more came than it holds, and what it held has been taken: the rest is to be had elsewhere */
  startAnew(): boolean {
    const isOver = this.#overflowed && this.#events.length === 0;
    if (isOver) this.#overflowed = false;
    return isOver;
  }

  take(): readonly ChannelEvent[] {
    return this.#events.splice(0);
  }

  /** Waits for anything to come. @returns whether it is time to look at the job itself */
  async wait(ms: number): Promise<boolean> {
    let late = false;
    if (this.#events.length === 0 && !this.#rung && !this.#overflowed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          late = true;
          resolve();
        }, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const look = this.#rung || late || this.#overflowed;
    this.#rung = false;
    return look;
  }
}
