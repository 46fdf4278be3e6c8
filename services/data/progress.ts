import { z } from 'zod';
import type { Job } from '../core/job.ts';
import { type OutputFile, outputFileSchema } from '../core/output-files.ts';
import type { Channel, ChannelEvent } from '../ports/channel/port.ts';
import type { Value } from '../ports/table/port.ts';

/** Topic of one job: its output and logs as they come, and a doorbell at its end. */
export function jobTopic(id: string): string {
  return `jobs/${id}`;
}

/** Topic that wakes directors: some pool's demand has changed. */
export const demandTopic = 'demand';

/** Topic that tells of a change in what owners want of their models' instances. */
export const scalingTopic = 'scaling';

/** Topic of one instance: jobs that it must stop. */
export function instanceTopic(id: string): string {
  return `instances/${id}`;
}

/**
 * Where an event stands in the life of a job: `attempt.chunk`, with `+n` for the n-th log event after that chunk.
 * `chunk` is the number of output elements up to and with this event.
 */
export interface Place {
  readonly attempt: number;
  readonly chunk: number;
  readonly log: number;
}

export function formatPlace({ attempt, chunk, log }: Place): string {
  return log === 0 ? `${attempt}.${chunk}` : `${attempt}.${chunk}+${log}`;
}

/** undefined where the text is no place, as from a client that made it up. */
export function parsePlace(text: string): Place | undefined {
  const match = /^(\d{1,9})\.(\d{1,9})(?:\+(\d{1,9}))?$/.exec(text);
  return match
    ? { attempt: Number(match[1]), chunk: Number(match[2]), log: Number(match[3] ?? 0) }
    : undefined;
}

/** What an attempt has put out so far. */
export interface Progress {
  readonly output: readonly Value[] | null;
  readonly logs: string;
  /** Where in the output files belong; absent where none do. */
  readonly files?: readonly OutputFile[] | undefined;
}

const outputEventSchema = z.json();
const outputFilesEventSchema = z.object({ chunk: z.json(), files: z.array(outputFileSchema) });

/** An element of an output. */
export interface OutputElement {
  readonly chunk: Value;
  /** By their paths in the chunk. */
  readonly files?: readonly OutputFile[] | undefined;
}

/** An element of an output as a job's topic carries it: one with files is an event of a type of its own. */
export function encodeOutput({ chunk, files }: OutputElement): { type: string; data: string } {
  if (!files?.length) return { type: 'output', data: JSON.stringify(chunk) };
  return { type: 'output_files', data: JSON.stringify({ chunk, files }) };
}

/** undefined for an event that carries no output. */
export function decodeOutput({ type, data }: Pick<ChannelEvent, 'type' | 'data'>): OutputElement | undefined {
  if (type === 'output') return { chunk: outputEventSchema.parse(JSON.parse(data)) };
  return type === 'output_files' ? outputFilesEventSchema.parse(JSON.parse(data)) : undefined;
}

/**
 * What the current attempt of a job has put out so far, from the channel's memory.
 * @returns undefined where nothing is remembered or the memory no longer reaches back to the beginning: what was stored
 *   then tells more, and must not be replaced by the rest
 */
export async function readProgress(channel: Channel, job: Job): Promise<Progress | undefined> {
  const subscription = await channel.subscribe(jobTopic(job.id), () => undefined);
  subscription.close();
  const { events: remembered, gap } = subscription.replay;
  if (gap || remembered.length === 0) return undefined;
  const mine = remembered.filter((event) => parsePlace(event.id)?.attempt === job.attempt);
  // A report whose answer was lost is sent again, perhaps to another process, which then publishes it once more.
  const events = [...new Map(mine.map((event) => [`${event.id} ${event.data}`, event])).values()];
  return isFromBeginning(events) ? collect(events) : undefined;
}

/**
 * Whether nothing is missing before or between the events of an attempt. A memory that was lost and has begun anew knows
 * of no gap, but the places of its events tell. (Only log events at the very start, of which nothing but output follows,
 * leave no trace.)
 */
function isFromBeginning(events: readonly ChannelEvent[]): boolean {
  let seen = { chunk: 0, log: 0 };
  for (const { id, type } of events) {
    const place = parsePlace(id);
    if (!place) return false;
    const next = type === 'logs' ? { ...seen, log: seen.log + 1 } : { chunk: seen.chunk + 1, log: 0 };
    if (isBefore(next, place)) return false;
    if (isBefore(seen, place)) seen = place;
  }
  return true;
}

function isBefore(one: Omit<Place, 'attempt'>, other: Omit<Place, 'attempt'>): boolean {
  return one.chunk < other.chunk || (one.chunk === other.chunk && one.log < other.log);
}

function collect(events: readonly ChannelEvent[]): Progress {
  const elements = events.map(decodeOutput).filter((element) => element !== undefined);
  const files = elements.flatMap((element, index) =>
    (element.files ?? []).map(({ path, name }) => ({ path: [index, ...path], name })),
  );
  const logs = events.filter(({ type }) => type === 'logs');
  return {
    output: elements.length > 0 ? elements.map(({ chunk }) => chunk) : null,
    logs: logs.map(({ data }) => data).join(''),
    files: files.length > 0 ? files : undefined,
  };
}
