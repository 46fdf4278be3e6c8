import { setImmediate as turn } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Job } from '../core/job.ts';
import { nextTryAt, type TargetPolicy } from '../core/webhook.ts';
import {
  type Deliveries,
  type Delivery,
  type DeliveryAttempt,
  type DeliveryName,
  deliveriesTopic,
  deliveryId,
  eventOf,
  isWebhookChange,
} from '../data/deliveries.ts';
import type { Jobs } from '../data/jobs.ts';
import { fromStored } from '../data/stored.ts';
import type { WebhookSecrets } from '../data/webhook-secrets.ts';
import type { Channel } from '../ports/channel/port.ts';
import type { Change, ChangeConsumer } from '../ports/table/port.ts';
import type { Span, Traces } from '../ports/traces/port.ts';
import { Lanes } from './lanes.ts';
import { post } from './post.ts';
import { signedHeaders } from './signature.ts';
import type { Resolve } from './targets.ts';

/** For a whole try. */
const tryTimeoutMs = 10_000;
/** Attempts that are kept of a delivery. */
const keptAttempts = 30;
/** Due deliveries that are read at a time. */
const batch = 100;
/** When the Table is looked at again after it could not be read, or something in it could not be tried. */
const repairMs = 5000;
/** A timer's waits: what is due at nearly the same time is looked for together. */
const shortestSleepMs = 20;
const longestSleepMs = 3_600_000;

/** What webhooks need of the world. */
export interface WebhookParts {
  readonly jobs: Jobs;
  readonly deliveries: Deliveries;
  readonly secrets: WebhookSecrets;
  readonly channel: Channel;
  /** A prediction as the API shows it to its account now; undefined where it is gone. */
  readonly prediction: (
    id: string,
    account: string,
  ) => Promise<{ readonly completed_at: string | null } | undefined>;
  readonly policy: TargetPolicy;
  readonly resolve: Resolve;
  readonly now: () => number;
  readonly logger: Logger;
  /** Given where deliveries are traced. */
  readonly traces?: Traces | undefined;
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
    const now = this.#parts.now();
    const made = await Promise.all(names.map(async (name) => this.#newDelivery(name, now)));
    const wanted = new Map(made.flatMap((one) => (one ? [[one.id, one] as const] : [])));
    for (const delivery of await this.#parts.deliveries.create([...wanted.values()])) this.#queue(delivery);
  }

  async #newDelivery(name: DeliveryName, now: number): Promise<Delivery | undefined> {
    const [job, url] = await Promise.all([
      this.#parts.jobs.get(name.job),
      this.#parts.jobs.webhook(name.job),
    ]);
    if (!job || url === undefined) return undefined;
    return {
      id: deliveryId(name),
      account: job.account,
      job: job.id,
      event: name.event,
      url,
      state: 'pending',
      createdAt: now,
      nextTryAt: now,
      since: now,
      failures: 0,
      isRedelivery: false,
      attempts: [],
      revision: 0,
    };
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
      await this.#try(id);
    } catch (error) {
      this.#parts.logger.error({ err: error, delivery: id }, 'a webhook could not be tried');
      this.#lookAt(this.#parts.now() + repairMs);
    }
  }

  /** The span of a try, as part of its prediction's; undefined where that is not traced. */
  async #beginSpan(delivery: Delivery): Promise<Span | undefined> {
    const { traces, jobs } = this.#parts;
    const trace = traces && (await jobs.get(delivery.job))?.trace;
    return (
      trace &&
      traces.begin('POST', {
        kind: 'client',
        parent: trace.traceparent,
        attributes: {
          'http.request.method': 'POST',
          'http.request.resend_count': delivery.failures || undefined,
          // A receiver's path may be a secret.
          'server.address': URL.parse(delivery.url)?.hostname,
          'mimeo.prediction.id': delivery.job,
          'mimeo.webhook.event': delivery.event,
          'mimeo.webhook.id': delivery.id,
        },
      })
    );
  }

  async #try(id: string): Promise<void> {
    const { deliveries, secrets, prediction, policy, resolve, now } = this.#parts;
    const delivery = await deliveries.get(id);
    const at = now();
    if (delivery?.state !== 'pending' || delivery.nextTryAt === null) return;
    if (delivery.nextTryAt > at) return this.#lookAt(delivery.nextTryAt);
    const body = await prediction(delivery.job, delivery.account);
    if (!body || (isOvertaken(delivery) && body.completed_at !== null)) return await deliveries.remove(id);
    const text = JSON.stringify(body);
    const signed = signedHeaders(await secrets.get(delivery.account), { id, body: text, nowMs: at });
    const span = await this.#beginSpan(delivery);
    const headers = span ? { ...signed, traceparent: span.traceparent } : signed;
    const { signal } = this.#stop;
    const answer = await post(delivery.url, text, headers, {
      policy,
      resolve,
      timeoutMs: tryTimeoutMs,
      signal,
    });
    if (!answer) return;
    const { status, error } = answer;
    span?.end({
      attributes: { 'http.response.status_code': status ?? undefined },
      error: error === null ? undefined : String(status ?? 'no_answer'),
    });
    const attempt = { at, ms: Math.max(0, now() - at), ...answer };
    const settled = await deliveries.update(id, (known) => settle(known, attempt, delivery.since, now()));
    if (settled?.nextTryAt) this.#lookAt(settled.nextTryAt);
  }
}

/** Whether the end of its job makes it worthless. */
function isOvertaken({ event, isRedelivery }: Delivery): boolean {
  return !isRedelivery && (event === 'output' || event === 'logs');
}

/**
 * A delivery after a try.
 * @param since of the delivery as it was tried: where it was redelivered meanwhile, it stays due
 */
function settle(delivery: Delivery, attempt: DeliveryAttempt, since: number, now: number): Delivery {
  const attempts = [...delivery.attempts, attempt].slice(-keptAttempts);
  if (delivery.since !== since) return { ...delivery, attempts };
  if (attempt.error === null) return { ...delivery, attempts, state: 'delivered', nextTryAt: null };
  const failures = delivery.failures + 1;
  // 410: the receiver wants no more of it.
  const next =
    attempt.status === 410 ? undefined : nextTryAt(delivery.event, { since, failures, now }, Math.random());
  if (next === undefined) return { ...delivery, attempts, failures, state: 'dead', nextTryAt: null };
  return { ...delivery, attempts, failures, nextTryAt: next };
}

/** What a change tells a webhook; undefined where that is nothing. */
function nameOf({ id, key, after }: Change): DeliveryName | undefined {
  if (!after || !isWebhookChange(after)) return undefined;
  if (key.sk === 'RESULT') {
    const { announces, attempt } = fromStored<{ announces: 'output' | 'logs'; attempt: number }>(after);
    return { job: key.pk.replace(/^JOB#/, ''), event: announces, attempt, change: id };
  }
  const job = fromStored<Job>(after);
  const event = eventOf(job);
  return event && { job: job.id, event, attempt: job.attempt };
}
