import { z } from 'zod';
import type { Job } from '../core/job.ts';
import type { Channel, ChannelEvent } from '../ports/channel/port.ts';
import type { Value } from '../ports/table/port.ts';

/** Topic of one job: its output and logs as they come, and a doorbell at its end. */
export function jobTopic(id: string): string {
  return `jobs/${id}`;
}

/** Topic that wakes directors: some pool's demand has changed. */
export const demandTopic = 'demand';

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
}

const outputEventSchema = z.json();

/**
 * What the current attempt of a job has put out so far, from the channel's memory.
 * @returns undefined where nothing is remembered or the memory no longer reaches back to the beginning
 */
export async function readProgress(channel: Channel, job: Job): Promise<Progress | undefined> {
  const subscription = await channel.subscribe(jobTopic(job.id), () => undefined);
  subscription.close();
  const { events, gap } = subscription.replay;
  if (gap || events.length === 0) return undefined;
  return collect(events.filter((event) => parsePlace(event.id)?.attempt === job.attempt));
}

function collect(events: readonly ChannelEvent[]): Progress {
  const chunks = events.filter(({ type }) => type === 'output');
  const logs = events.filter(({ type }) => type === 'logs');
  return {
    output: chunks.length > 0 ? chunks.map(({ data }) => outputEventSchema.parse(JSON.parse(data))) : null,
    logs: logs.map(({ data }) => data).join(''),
  };
}
