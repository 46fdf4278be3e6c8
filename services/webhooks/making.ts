import type { Job } from '../core/job.ts';
import {
  type Deliveries,
  type Delivery,
  type DeliveryName,
  deliveryId,
  eventOf,
  isWebhookChange,
} from '../data/deliveries.ts';
import type { Jobs } from '../data/jobs.ts';
import { fromStored } from '../data/stored.ts';
import type { Change } from '../ports/table/port.ts';

/** What of a change webhooks are told; undefined where that is nothing. */
export function nameOf({ id, key, after }: Change): DeliveryName | undefined {
  if (!after || !isWebhookChange(after)) return undefined;
  if (key.sk === 'RESULT') {
    const { announces, attempt } = fromStored<{ announces: 'output' | 'logs'; attempt: number }>(after);
    return { job: key.pk.replace(/^JOB#/, ''), event: announces, attempt, change: id };
  }
  const job = fromStored<Job>(after);
  const event = eventOf(job);
  return event && { job: job.id, event, attempt: job.attempt };
}

/**
 * Stores deliveries for what webhooks are told, at most 100. The same name always makes the same delivery.
 * @returns those that were not there yet
 */
export async function makeDeliveries(
  parts: { readonly jobs: Jobs; readonly deliveries: Deliveries; readonly now: () => number },
  names: readonly DeliveryName[],
): Promise<readonly Delivery[]> {
  const now = parts.now();
  const made = await Promise.all(names.map(async (name) => newDelivery(parts.jobs, name, now)));
  const wanted = new Map(made.flatMap((one) => (one ? [[one.id, one] as const] : [])));
  return await parts.deliveries.create([...wanted.values()]);
}

async function newDelivery(jobs: Jobs, name: DeliveryName, now: number): Promise<Delivery | undefined> {
  const [job, url] = await Promise.all([jobs.get(name.job), jobs.webhook(name.job)]);
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
