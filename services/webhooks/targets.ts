import { lookup, Resolver } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { isAddress } from '../core/addresses.ts';
import { addressProblem, hostOf, type TargetPolicy, webhookUrlProblem } from '../core/webhook.ts';

/** An address of a host. */
export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Finds the addresses of a host's name. @throws Error where it has none or nobody answers in time */
export type Resolve = (host: string) => Promise<readonly Address[]>;

/** A webhook's receiver, resolved and checked. */
export interface Target {
  readonly url: URL;
  /** Gives a connection the addresses that were checked and no others, whatever the name means by then. */
  readonly lookup: LookupFunction;
}

/** A receiver that may not be called. */
export class TargetError extends Error {
  override name = 'TargetError';
}

/**
 * Checks a webhook's URL and every address of its host: one that is bad makes all of them bad.
 * @throws TargetError, or what `resolve` throws
 */
export async function checkTarget(text: string, policy: TargetPolicy, resolve: Resolve): Promise<Target> {
  const problem = webhookUrlProblem(text, policy);
  if (problem) throw new TargetError(`The webhook's URL ${problem}`);
  const url = new URL(text);
  const host = hostOf(url);
  const addresses: readonly Address[] = isAddress(host)
    ? [{ address: host, family: host.includes(':') ? 6 : 4 }]
    : await resolve(host);
  if (addresses.length === 0) throw new TargetError(`${host} has no address`);
  for (const { address } of addresses) {
    const refused = addressProblem(address, policy);
    if (refused) throw new TargetError(`${host} is not called: ${refused}`);
  }
  return { url, lookup: pinned(addresses) };
}

function pinned(addresses: readonly Address[]): LookupFunction {
  return (_host, options, callback) => {
    const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : (options.family ?? 0);
    const fitting = family === 0 ? addresses : addresses.filter((one) => one.family === family);
    const [first] = fitting;
    if (!first) callback(new Error(`No address of family ${family}`), '', 0);
    else if (options.all) callback(null, [...fitting]);
    else callback(null, first.address, first.family);
  };
}

/**
 * Asks DNS. The system's own lookup, which also knows /etc/hosts, keeps a thread busy for as long as a name server is
 * silent, and files need those threads: it is asked second, for one name at a time, and only by who may call private
 * networks.
 */
export function systemResolver(policy: TargetPolicy): Resolve {
  let looking: Promise<unknown> = Promise.resolve();
  return async (host) => {
    if (policy.allowPrivate && /(^|\.)localhost$/.test(host)) {
      return [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ];
    }
    const resolver = new Resolver({ timeout: 2000, tries: 2 });
    const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found = [
      ...(four.status === 'fulfilled' ? four.value : []).map((address) => ({ address, family: 4 as const })),
      ...(six.status === 'fulfilled' ? six.value : []).map((address) => ({ address, family: 6 as const })),
    ];
    if (found.length > 0) return found;
    if (!policy.allowPrivate) throw new Error(`${host} cannot be resolved`);
    const looked = looking.then(async () => lookup(host, { all: true }));
    looking = looked.catch(() => undefined);
    return (await looked).map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
  };
}
