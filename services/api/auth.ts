import type { HonoRequest } from 'hono';
import type { TokenScope } from '../core/account.ts';
import { ProblemError } from '../core/errors.ts';
import type { Accounts } from '../data/accounts.ts';
import type { Caller } from './predictions.ts';

/** A revoked token stops working after at most this long. */
const trustedMs = 30_000;
/** Tokens that are kept at hand; all are forgotten when there are more. */
const cacheLimit = 10_000;

const inQuery = ['token', 'api_token', 'access_token', 'api_key', 'authorization'];

/** What handlers know of a request. */
export interface ApiEnv {
  readonly Variables: {
    readonly caller: Caller;
    /** Of the request's span, where requests are traced. */
    readonly traceparent?: string;
  };
}

/**
 * Tells who calls by the bearer token.
 * @returns a function that throws ProblemError `unauthenticated` for everybody else, and `forbidden` for what a token's
 * scope does not open
 */
export function authenticator(
  accounts: Accounts,
  now: () => number,
): (request: HonoRequest) => Promise<Caller> {
  interface Known {
    readonly caller: Caller;
    readonly scope: TokenScope;
    readonly until: number;
  }
  const cache = new Map<string, Known>();

  async function find(secret: string): Promise<Known> {
    const cached = cache.get(secret);
    if (cached && cached.until > now()) return cached;
    const token = await accounts.findToken(secret);
    if (!token || token.revokedAt !== null) throw unauthenticated('The API token is not valid.');
    if (cache.size >= cacheLimit) cache.clear();
    const caller = { account: token.account, token: token.id };
    const known = { caller, scope: token.scope ?? 'all', until: now() + trustedMs };
    cache.set(secret, known);
    return known;
  }

  return async (request) => {
    refuseTokenInQuery(request.url);
    const { caller, scope } = await find(bearerToken(request.header('authorization')));
    if (scope === 'runner' && !isRunnersCall(request)) {
      throw new ProblemError('forbidden', 'This token lends machines to models and opens nothing else.');
    }
    return caller;
  };
}

/** What `mimeo runner` asks for: which versions a model has, and a token for the fleet protocol. */
const runnersCalls: Readonly<Record<string, RegExp>> = {
  GET: /^\/v1\/models\/[^/]+\/[^/]+$/,
  POST: /^\/v1\/models\/[^/]+\/[^/]+\/versions\/[^/]+\/runner-token$/,
};

function isRunnersCall({ method, path }: HonoRequest): boolean {
  return runnersCalls[method]?.test(path) ?? false;
}

/** The secret of an `Authorization` header, in its present form or the legacy one. */
export function bearerToken(header: string | undefined): string {
  const match = /^(?:Bearer|Token)\s+(\S+)\s*$/i.exec(header ?? '');
  if (match?.[1] === undefined) {
    throw unauthenticated('Send your API token in a header: Authorization: Bearer r8_…');
  }
  return match[1];
}

function refuseTokenInQuery(url: string): void {
  if (!url.includes('?')) return;
  const given = [...new URL(url).searchParams.keys()].find((name) => inQuery.includes(name.toLowerCase()));
  if (given === undefined) return;
  throw unauthenticated(
    `A token in the query string (${given}) ends up in logs, so it is refused; revoke it and use the Authorization header.`,
  );
}

function unauthenticated(detail: string): ProblemError {
  return new ProblemError('unauthenticated', detail, { 'www-authenticate': 'Bearer' });
}
