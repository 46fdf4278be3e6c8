import { nextTryAt, type TargetPolicy } from '../core/webhook.ts';
import type { Deliveries, Delivery, DeliveryAttempt } from '../data/deliveries.ts';
import type { Jobs } from '../data/jobs.ts';
import type { WebhookSecrets } from '../data/webhook-secrets.ts';
import type { Span, Traces } from '../ports/traces/port.ts';
import { post } from './post.ts';
import { signedHeaders } from './signature.ts';
import type { Resolve } from './targets.ts';

/** For a whole try. */
const tryTimeoutMs = 10_000;
/**
 * Input, output and logs may each have so many bytes of JSON in a post; what has more is left out, and the post says so.
 * A model's output may be 64 MiB: a batch of those does not fit into a function's memory, and what receives webhooks takes
 * 6 MB at best.
 */
const mostPayloadBytes = 2 * 1024 * 1024;
/** Attempts that are kept of a delivery. */
const keptAttempts = 30;

/** What a try needs of the world. */
export interface TryParts {
  readonly jobs: Jobs;
  readonly deliveries: Deliveries;
  readonly secrets: WebhookSecrets;
  /** A prediction as the API shows it to its account now, without payloads of more bytes; undefined where it is gone. */
  readonly prediction: (
    id: string,
    account: string,
    mostBytes: number,
  ) => Promise<{ readonly completed_at: string | null } | undefined>;
  readonly policy: TargetPolicy;
  readonly resolve: Resolve;
  readonly now: () => number;
  /** Given where deliveries are traced. */
  readonly traces?: Traces | undefined;
}

/** What became of a delivery that was to be tried. */
export interface Tried {
  /** Whether a try was made; none is before its time. */
  readonly wasTried: boolean;
  /** What became of the try: `refused` will be tried again, `dead` will not. Absent where none was made. */
  readonly outcome?: 'delivered' | 'refused' | 'dead';
  /** The delivery where it is to be tried again, at its `nextTryAt`. */
  readonly waiting: Delivery | undefined;
}

const settledBefore: Tried = { wasTried: false, waiting: undefined };

/** Makes one try of a delivery, if it is due, and stores what became of it. @param signal breaks it off */
export async function tryDelivery(parts: TryParts, id: string, signal: AbortSignal): Promise<Tried> {
  const { deliveries, secrets, prediction, policy, resolve, now } = parts;
  const delivery = await deliveries.get(id);
  const at = now();
  if (delivery?.state !== 'pending' || delivery.nextTryAt === null) return settledBefore;
  if (delivery.nextTryAt > at) return { wasTried: false, waiting: delivery };
  const body = await prediction(delivery.job, delivery.account, mostPayloadBytes);
  if (!body || (isOvertaken(delivery) && body.completed_at !== null)) {
    await deliveries.remove(id);
    return settledBefore;
  }
  const text = JSON.stringify(body);
  const signed = signedHeaders(await secrets.get(delivery.account), { id, body: text, nowMs: at });
  const span = await beginSpan(parts, delivery);
  const headers = span ? { ...signed, traceparent: span.traceparent } : signed;
  const answer = await post(delivery.url, text, headers, {
    policy,
    resolve,
    timeoutMs: tryTimeoutMs,
    signal,
  });
  if (!answer) return settledBefore;
  const { status, error } = answer;
  span?.end({
    attributes: { 'http.response.status_code': status ?? undefined },
    error: error === null ? undefined : String(status ?? 'no_answer'),
  });
  const attempt = { at, ms: Math.max(0, now() - at), ...answer };
  const settled = await deliveries.update(id, (known) => settle(known, attempt, delivery.since, now()));
  const waiting = settled?.nextTryAt ? settled : undefined;
  return { wasTried: true, outcome: outcomeOf(error === null, waiting !== undefined), waiting };
}

/** The span of a try, as part of its prediction's; undefined where that is not traced. */
async function beginSpan({ traces, jobs }: TryParts, delivery: Delivery): Promise<Span | undefined> {
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

function outcomeOf(isAccepted: boolean, isTriedAgain: boolean): Tried['outcome'] {
  if (isAccepted) return 'delivered';
  return isTriedAgain ? 'refused' : 'dead';
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
