import { z } from 'zod';
import { type Delivery, readRedelivery } from '../data/deliveries.ts';
import type { MessageSender } from '../ports/queue/port.ts';
import type { ChangeConsumer } from '../ports/table/port.ts';
import { makeDeliveries, nameOf } from './making.ts';
import { type Tried, type TryParts, tryDelivery } from './try.ts';

/** SQS: seconds that one message may be delayed. */
const maxDelaySeconds = 900;
/** Deliveries that one write stores, or one query reads. */
const batch = 100;
/** What is overdue for this long has lost its message, or waits in a long line. */
const overdueMs = 10_000;

/** A message: a hint that a delivery is due at `dueAt` (epoch ms). Losing one loses nothing. */
const messageSchema = z.object({ delivery: z.string(), dueAt: z.number() });

type Parts = Pick<TryParts, 'deliveries' | 'jobs' | 'now'> & { readonly sender: MessageSender };

/**
 * Turns changes of jobs into deliveries and hints, and what a person wants sent again into hints. What is handed out
 * twice makes one delivery; a hint that is lost in between the sweeper sends.
 */
export function deliveryMaker(parts: Parts): ChangeConsumer {
  return {
    name: 'webhooks',
    async handle(changes) {
      const told = changes.flatMap((change) => nameOf(change) ?? []);
      for (let start = 0; start < told.length; start += batch) {
        await hint(parts, await makeDeliveries(parts, told.slice(start, start + batch)));
      }
      await hint(
        parts,
        changes.flatMap(({ after }) => (after && readRedelivery(after)) ?? []),
      );
    },
  };
}

/**
 * Handles one message: makes a try where the delivery is due, and sends the hint for the next one.
 * @returns what became of the try; undefined where none was made
 * @throws Error where the message is none of ours
 */
export async function handleMessage(
  parts: TryParts & Parts,
  body: string,
  signal: AbortSignal,
): Promise<Tried['outcome']> {
  const message = messageSchema.parse(JSON.parse(body));
  const { wasTried, outcome, waiting } = await tryDelivery(parts, message.delivery, signal);
  // Too early: it is further ahead than a message can be delayed. Of another time, another message tells.
  if (waiting && (wasTried || waiting.nextTryAt === message.dueAt)) await hint(parts, [waiting]);
  return outcome;
}

/**
 * Sends hints anew for deliveries that are overdue, the earliest first, which is what mends lost ones.
 * @returns how many
 */
export async function hintOverdue(parts: Parts, limit: number): Promise<number> {
  const before = parts.now() - overdueMs;
  let hinted = 0;
  let cursor: string | undefined;
  do {
    const page = await parts.deliveries.due({ limit: Math.min(batch, limit - hinted), before, cursor });
    await hint(parts, page.items);
    hinted += page.items.length;
    cursor = page.next;
  } while (cursor !== undefined && hinted < limit);
  return hinted;
}

async function hint({ sender, now }: Parts, deliveries: readonly Delivery[]): Promise<void> {
  const at = now();
  const messages = deliveries.flatMap(({ id, account, nextTryAt }) => {
    if (nextTryAt === null) return [];
    const delaySeconds = Math.min(Math.max(0, Math.ceil((nextTryAt - at) / 1000)), maxDelaySeconds);
    return [{ body: JSON.stringify({ delivery: id, dueAt: nextTryAt }), group: account, delaySeconds }];
  });
  if (messages.length > 0) await sender.send(messages);
}
