import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { hasEnded, type Job, type JobEvent } from '../core/job.ts';
import type { OutputFile } from '../core/output-files.ts';
import type { Objects } from '../ports/objects/port.ts';
import type { Item, Value } from '../ports/table/port.ts';
import { objectKey, objectsNamed, payloadItem } from './job-items.ts';

/** Payload values longer than this (JSON characters) live in Objects, not in the Table. */
export const inlineCharacters = 8 * 1024;

/** What a job put out. `metrics` are those that the model recorded itself. */
export interface Result {
  readonly output: Value;
  readonly logs: string;
  readonly metrics: { readonly [name: string]: Value };
  /** The attempt that it is of. */
  readonly attempt: number;
  /** Where in the output files belong; absent where none do. */
  readonly files?: readonly OutputFile[] | undefined;
}

/** What the item of an input holds. @param value as `storeValue` gave it */
export function inputData(
  value: Value,
  told: {
    readonly traceparent: string | null;
    readonly secrets: readonly string[];
    readonly webhook?: string;
  },
): Item['data'] {
  const { traceparent, secrets, webhook } = told;
  return webhook === undefined ? { value, traceparent, secrets } : { value, traceparent, secrets, webhook };
}

/** The URL of a webhook, which lies beside the input. */
export function webhookOf(input: Item | undefined): { readonly webhook?: string } {
  return typeof input?.data.webhook === 'string' ? { webhook: input.data.webhook } : {};
}

/**
 * The item of a result, whose large values are stored.
 * @param writer who writes it: of several at once one wins in the Table, so none may touch another's objects
 * @param said `by` where a row is to name it, `announces` what a webhook is to be told
 */
export async function makeResult(
  objects: Objects,
  job: Job,
  writer: JobEvent['type'] | Job['status'],
  result: Result,
  said: { readonly by?: string; readonly announces?: string },
): Promise<Item> {
  const place = `${result.attempt}-${writer}`;
  const [output, logs] = await Promise.all([
    storeValue(objects, job, `${place}-output`, result.output),
    storeValue(objects, job, `${place}-logs`, result.logs),
  ]);
  const { metrics, attempt, files } = result;
  const data = { output, logs, metrics, attempt, ...(files?.length ? { files } : {}), ...said };
  return payloadItem(job, 'RESULT', data);
}

/** What of a job's payloads may be too large for a reader. */
export type PayloadPart = 'input' | 'output' | 'logs';

/** Loads payloads for one reader, and leaves out what has more bytes than it wants. */
export class PayloadReader {
  readonly #objects: Objects;
  readonly #mostBytes: number;
  /** What was left out. */
  readonly omitted: PayloadPart[] = [];

  constructor(objects: Objects, mostBytes: number) {
    this.#objects = objects;
    this.#mostBytes = mostBytes;
  }

  async result(item: Item): Promise<Result> {
    const [output, logs] = await Promise.all([
      this.value<Value>('output', item.data.output),
      this.value<string>('logs', item.data.logs),
    ]);
    return {
      output,
      logs: logs ?? '',
      metrics: item.data.metrics as Result['metrics'],
      attempt: Number(item.data.attempt),
      // Where they belong is gone with the output.
      files: this.omitted.includes('output') ? undefined : (item.data.files as Result['files']),
    };
  }

  /** @param stored as `storeValue` gave it @returns null where there is nothing */
  async value<T extends Value>(part: PayloadPart, stored: Value | undefined): Promise<T | null> {
    const holder = stored as { inline?: T; object?: string } | undefined;
    if (holder?.object === undefined) return holder?.inline ?? null;
    const object = await this.#objects.get(holder.object);
    if (object && object.size > this.#mostBytes) {
      object.body.destroy();
      this.omitted.push(part);
      return null;
    }
    return object ? (JSON.parse(await text(object.body)) as T) : null;
  }
}

/** The result that is a job's own: what it has shown while it ran, or the one that its end names. */
export function ownResult(job: Job, result: Item | undefined): Item | undefined {
  if (result?.data.by === undefined) return result;
  // Who lost the end to somebody else, or died before it was written, may have left it behind.
  const isOwn =
    hasEnded(job.status) && result.data.by === job.resultBy && result.data.attempt === job.attempt;
  return isOwn ? result : undefined;
}

/** Keys of the objects that hold a result's output and logs. */
export function resultObjects(item: Item | undefined): readonly string[] {
  return objectsNamed([item?.data.output, item?.data.logs]);
}

/** Whether a result is kept in the Table itself. */
export function isSmall({ data }: Item): boolean {
  return isInline(data.output) && isInline(data.logs);
}

/** A value as an item holds it: itself, or the key of the object that it was put into. */
export async function storeValue(objects: Objects, job: Job, name: string, value: Value): Promise<Value> {
  const json = JSON.stringify(value);
  if (json.length <= inlineCharacters) return { inline: value };
  const key = objectKey(job, name);
  await objects.put(key, Readable.from([Buffer.from(json)]), { contentType: 'application/json' });
  return { object: key };
}

/** @param stored as `storeValue` gave it */
export function isInline(stored: Value | undefined): boolean {
  return typeof stored === 'object' && stored !== null && 'inline' in stored;
}
