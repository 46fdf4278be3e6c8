import { hasEnded, type Job } from '../core/job.ts';
import type { WebhookEvent } from '../core/webhook.ts';
import {
  ConflictError,
  type Item,
  type Key,
  maxWriteOps,
  type Page,
  type Table,
  type WriteOp,
} from '../ports/table/port.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

/** How long a delivery is kept, seconds. */
const keptSeconds = 7 * 24 * 3600;
/** What the partition of a job's deliveries begins with. */
const deliveryPrefix = 'DELIVERIES#';
/** Topic that wakes whoever delivers: something has become due. */
export const deliveriesTopic = 'deliveries';

export const deliveryStates = ['pending', 'delivered', 'dead'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** One try to hand a delivery over. Times are epoch ms. */
export interface DeliveryAttempt {
  readonly at: number;
  /** Of the answer; null where there was none. */
  readonly status: number | null;
  readonly ms: number;
  readonly error: string | null;
  /** The beginning of the answer's body. */
  readonly excerpt: string;
}

/** One webhook of one job and what became of it. Times are epoch ms. */
export interface Delivery {
  /** Also the `webhook-id` that receivers see, the same on every try. */
  readonly id: string;
  readonly account: string;
  readonly job: string;
  readonly event: WebhookEvent;
  readonly url: string;
  readonly state: DeliveryState;
  readonly createdAt: number;
  /** null where nothing is due. */
  readonly nextTryAt: number | null;
  /** When the tries that count for its backoff began: its creation, or when it was redelivered. */
  readonly since: number;
  /** Tries since then that have failed. */
  readonly failures: number;
  /** Whether a person asked for it, so that it is sent even where the end overtook it. */
  readonly isRedelivery: boolean;
  /** The last ones. */
  readonly attempts: readonly DeliveryAttempt[];
  /** Rises with each write. */
  readonly revision: number;
}

/** Names an event of a job; the same event always has the same name. */
export interface DeliveryName {
  readonly job: string;
  readonly event: WebhookEvent;
  /** The job's attempt. */
  readonly attempt: number;
  /** For `output` and `logs`: the change that they tell of. */
  readonly change?: string;
}

/** The id of a delivery; of letters, digits and dashes, as the signature's parts are separated by dots. */
export function deliveryId({ job, event, attempt, change }: DeliveryName): string {
  return [job, event, attempt, ...(change === undefined ? [] : [change])].join('-');
}

/** Whether a written item is something that a webhook is told of: what the change feed carries for them. */
export function isWebhookChange({ sk, data }: Pick<Item, 'sk' | 'data'>): boolean {
  if (sk === 'RESULT') return data.announces !== undefined;
  if (sk !== 'JOB' || !data.webhookEvents) return false;
  return eventOf(data as Job) !== undefined;
}

/** What a job's row, as it was written, tells a webhook. */
export function eventOf(job: Job): 'start' | 'completed' | undefined {
  // Later writes, when its data is removed or it becomes an example, have nothing new to tell.
  if (job.dataRemoved || job.example !== undefined) return undefined;
  const event = hasEnded(job.status) ? 'completed' : job.status === 'processing' ? 'start' : undefined;
  return event && job.webhookEvents?.includes(event) ? event : undefined;
}

/** The delivery that a person has just asked for anew, as the change feed carries it; undefined for any other item. */
export function readRedelivery(item: Item): Delivery | undefined {
  if (!item.pk.startsWith(deliveryPrefix)) return undefined;
  const delivery = fromStored<Delivery>(item);
  const isAsked = delivery.isRedelivery && delivery.state === 'pending' && delivery.failures === 0;
  return isAsked ? delivery : undefined;
}

/** Deliveries as they are stored: one partition a job, in the order of its life. */
export class Deliveries {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Stores those that are not there yet. @returns them */
  async create(deliveries: readonly Delivery[]): Promise<readonly Delivery[]> {
    let left = deliveries.slice(0, maxWriteOps);
    for (;;) {
      try {
        if (left.length > 0) await this.#table.write(left.map((one) => putOp(one, { absent: true })));
        return left;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        const { failed } = error;
        left = left.filter((_, place) => !failed.includes(place));
      }
    }
  }

  async get(id: string): Promise<Delivery | undefined> {
    const key = keyOf(id);
    const item = key && (await this.#table.get(key));
    return item && fromStored<Delivery>(item);
  }

  /**
   * Writes what `change` makes of a delivery, however often it changes meanwhile.
   * @param change gives undefined to leave it as it is
   * @returns it as it is now; undefined where there is none
   */
  async update(id: string, change: (now: Delivery) => Delivery | undefined): Promise<Delivery | undefined> {
    for (;;) {
      const known = await this.get(id);
      const next = known && change(known);
      if (!known || !next) return known;
      const written = { ...next, revision: known.revision + 1 };
      try {
        await this.#table.write([putOp(written, { equals: { revision: known.revision } })]);
        return written;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
    }
  }

  async remove(id: string): Promise<void> {
    const key = keyOf(id);
    if (key) await this.#table.write([{ op: 'delete', key }]);
  }

  /** Deliveries that wait to be tried, the earliest first. @param before epoch ms, exclusive */
  async due(options: {
    readonly limit: number;
    readonly before?: number;
    readonly cursor?: string;
  }): Promise<Page<Delivery>> {
    const { limit, cursor } = options;
    const before = options.before === undefined ? undefined : timeKey(options.before);
    const page = await this.#table.query({ index: 'due', pk: 'DELIVERIES' }, { limit, cursor, before });
    return { items: page.items.map((item) => fromStored<Delivery>(item)), next: page.next };
  }

  /** Of an account, or of one prediction; the newest first. @param options `after`: epoch ms, inclusive */
  async list(
    options: { readonly account: string; readonly job?: string; readonly after?: number },
    { limit, cursor }: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<Delivery>> {
    const { account, job, after } = options;
    const partition =
      job === undefined
        ? { index: 'listing' as const, pk: listingPartition(account) }
        : { pk: jobPartition(job) };
    const page = await this.#table.query(partition, {
      descending: true,
      limit,
      cursor,
      after: job === undefined && after !== undefined ? timeKey(after) : undefined,
    });
    const all = page.items.map((item) => fromStored<Delivery>(item));
    return { items: all.filter((one) => one.account === account), next: page.next };
  }
}

function putOp(delivery: Delivery, when: Extract<WriteOp, { op: 'put' }>['when']): WriteOp {
  const { id, account, createdAt, nextTryAt } = delivery;
  const key = keyOf(id);
  if (!key) throw new Error(`${id} is no delivery's id`);
  const item: Item = {
    ...key,
    data: toStored({ ...delivery, attempts: delivery.attempts.map((attempt) => ({ ...attempt })) }),
    keys: {
      listing: { pk: listingPartition(account), sk: `${timeKey(createdAt)}#${id}` },
      due: nextTryAt === null ? undefined : { pk: 'DELIVERIES', sk: `${timeKey(nextTryAt)}#${id}` },
    },
    expiresAt: Math.ceil(Math.max(createdAt, delivery.since) / 1000) + keptSeconds,
  };
  return { op: 'put', item, when };
}

/** undefined where the text is no delivery's id, as from a client that made it up. */
function keyOf(id: string): Key | undefined {
  const match = /^([a-z2-7]{26})-(start|output|logs|completed)-(\d{1,9})(?:-([0-9]{1,40}))?$/.exec(id);
  if (!match) return undefined;
  const [, job = '', event = '', attempt = '', change = ''] = match;
  const rank = event === 'start' ? 0 : event === 'completed' ? 2 : 1;
  return {
    pk: jobPartition(job),
    sk: `${attempt.padStart(9, '0')}#${rank}#${change.padStart(40, '0')}#${event}`,
  };
}

function jobPartition(job: string): string {
  return `${deliveryPrefix}${job}`;
}

function listingPartition(account: string): string {
  return `DELIVERIES-OF#${account}`;
}
