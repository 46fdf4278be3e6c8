import { setImmediate as turn } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Delivery, type DeliveryName, deliveriesTopic } from '../data/deliveries.ts';
import type { Channel } from '../ports/channel/port.ts';
import type { ChangeConsumer } from '../ports/table/port.ts';
import { Lanes } from './lanes.ts';
import { makeDeliveries, nameOf } from './making.ts';
import { type TryParts, tryDelivery } from './try.ts';

/** Due deliveries that are read at a time. */
const batch = 100;
/** When the Table is looked at again after it could not be read, or something in it could not be tried. */
const repairMs = 5000;
/** A timer's waits: what is due at nearly the same time is looked for together. */
const shortestSleepMs = 20;
const longestSleepMs = 3_600_000;

/** What webhooks need of the world. */
export interface WebhookParts extends TryParts {
  readonly channel: Channel;
  readonly logger: Logger;
}

/** Turns changes of jobs into deliveries, and delivers them. */
export class Webhooks {
  readonly #parts: WebhookParts;
  readonly #lanes: Lanes;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #lookAgain = false;

  constructor(parts: WebhookParts) {
    this.#parts = parts;
    this.#lanes = new Lanes(
      async (id) => this.#tryGuarded(id),
      () => this.#look(),
    );
  }

  /**
   * Stores what the changes tell as deliveries. The same change always makes the same delivery, so a group that is
   * handed out twice delivers once.
   */
  get consumer(): ChangeConsumer {
    return {
      name: 'webhooks',
      handle: async (changes) => {
        const told = changes.flatMap((change) => nameOf(change) ?? []);
        for (let start = 0; start < told.length; start += batch) {
          if (start > 0) await turn();
          await this.#create(told.slice(start, start + batch));
        }
      },
    };
  }

  /** Takes up what was not delivered yet, now and whenever something becomes due. @returns a function that stops it */
  async start(): Promise<() => Promise<void>> {
    const subscription = await this.#parts.channel.subscribe(deliveriesTopic, () => this.#look());
    this.#look();
    return async () => {
      subscription.close();
      this.#stop.abort();
      clearTimeout(this.#timer);
      await this.#looking;
      await this.#lanes.close();
    };
  }

  async #create(names: readonly DeliveryName[]): Promise<void> {
    for (const delivery of await makeDeliveries(this.#parts, names)) this.#queue(delivery);
  }

  #queue({ id, url, event, isRedelivery }: Delivery): void {
    const isUrgent = isRedelivery || event === 'start' || event === 'completed';
    this.#lanes.add(id, URL.parse(url)?.host ?? url, isUrgent);
  }

  /** Puts in line what is due. One look at a time; what comes meanwhile is looked for once more. */
  #look(): void {
    if (this.#stop.signal.aborted) return;
    this.#lookAgain = true;
    this.#looking ??= this.#lookNow()
      .catch((error: unknown) => {
        this.#parts.logger.error({ err: error }, 'due webhooks could not be read');
        this.#lookAt(this.#parts.now() + repairMs);
      })
      .finally(() => {
        this.#looking = undefined;
        if (this.#lookAgain) this.#look();
      });
  }

  async #lookNow(): Promise<void> {
    const { deliveries, now } = this.#parts;
    while (this.#lookAgain && !this.#stop.signal.aborted) {
      this.#lookAgain = false;
      let cursor: string | undefined;
      do {
        const page = await deliveries.due({ limit: batch, cursor });
        const at = now();
        for (const delivery of page.items) if ((delivery.nextTryAt ?? at) <= at) this.#queue(delivery);
        const later = page.items.find(({ nextTryAt }) => nextTryAt !== null && nextTryAt > at);
        if (later?.nextTryAt) this.#lookAt(later.nextTryAt);
        cursor = later ? undefined : page.next;
        // Where requests are served by the same thread, they come first.
        await turn();
      } while (cursor !== undefined && !this.#stop.signal.aborted);
    }
  }

  #lookAt(at: number): void {
    if (at >= this.#timerAt || this.#stop.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const ms = Math.min(Math.max(at - this.#parts.now(), shortestSleepMs), longestSleepMs);
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#look();
    }, ms);
    this.#timer.unref();
  }

  async #tryGuarded(id: string): Promise<void> {
    try {
      const { waiting } = await tryDelivery(this.#parts, id, this.#stop.signal);
      if (waiting?.nextTryAt) this.#lookAt(waiting.nextTryAt);
    } catch (error) {
      this.#parts.logger.error({ err: error, delivery: id }, 'a webhook could not be tried');
      this.#lookAt(this.#parts.now() + repairMs);
    }
  }
}
