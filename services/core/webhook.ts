import { classifyAddress, isAddress } from './addresses.ts';

/** What a webhook can be told of, in the order of a job's life. */
export const webhookEvents = ['start', 'output', 'logs', 'completed'] as const;
export type WebhookEvent = (typeof webhookEvents)[number];

/** Where a job's events go, and which of them. */
export interface Webhook {
  readonly url: string;
  readonly events: readonly WebhookEvent[];
}

/** What a server lets webhooks call, beyond https at public addresses. */
export interface TargetPolicy {
  readonly allowHttp: boolean;
  /** Loopback and private networks. Metadata services and the like stay closed in any case. */
  readonly allowPrivate: boolean;
}

/** Longest URL of a webhook, characters. */
export const maxWebhookUrlLength = 2048;

/** The host of a URL, without the brackets of an IPv6 address and without a dot at its end. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

/** Why an address may not be called; undefined where it may. */
export function addressProblem(address: string, policy: TargetPolicy): string | undefined {
  const kind = classifyAddress(address);
  if (kind === 'public' || (kind === 'private' && policy.allowPrivate)) return undefined;
  return kind === 'private'
    ? `the address ${address} is in a private network, which this server does not call`
    : `the address ${address} may never be called`;
}

/**
 * Why a URL may not be a webhook's, as far as the URL itself tells; undefined where it may. What its host resolves to
 * is looked at when it is called.
 */
export function webhookUrlProblem(text: string, policy: TargetPolicy): string | undefined {
  const url = text.length <= maxWebhookUrlLength ? URL.parse(text) : null;
  if (!url)
    return `must be a URL of at most ${maxWebhookUrlLength} characters, such as https://example.com/hook`;
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && policy.allowHttp))
    return `must begin with ${policy.allowHttp ? 'https: or http:' : 'https:'}, not ${url.protocol}`;
  if (url.username !== '' || url.password !== '')
    return 'must not have a user name or password; deliveries are signed, so check the signature';
  const host = hostOf(url);
  if (host === '') return 'must name a host';
  return isAddress(host) ? addressProblem(host, policy) : undefined;
}

/** How long `completed` is tried, at least. */
const completedForMs = 24 * 3_600_000;
/** Tries that the others get: what they tell is old soon. */
const mostTries = { start: 3, output: 1, logs: 1 } as const;
const firstRetryMs = 2000;
const longestRetryMs = 4 * 3_600_000;

/**
 * When a delivery that has failed is tried again: after 2 s, doubled each time up to 4 h, each with up to a fifth
 * more, so that what failed together does not come back together.
 * @param since when the first of these tries became due; like `now`, epoch ms
 * @param failures tries since then that have failed, this one included
 * @param random 0 to 1
 * @returns undefined where it is given up
 */
export function nextTryAt(
  event: WebhookEvent,
  tries: { readonly since: number; readonly failures: number; readonly now: number },
  random: number,
): number | undefined {
  const { since, failures, now } = tries;
  const isOver = event === 'completed' ? now - since >= completedForMs : failures >= mostTries[event];
  if (isOver) return undefined;
  const delay = Math.min(firstRetryMs * 2 ** (failures - 1), longestRetryMs);
  return now + Math.round(delay * (1 + random / 5));
}
