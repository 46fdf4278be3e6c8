import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { ProblemError } from '../core/errors.ts';

/** How long the issuer may take to answer. */
const timeoutMs = 5000;
/** Most bytes that an answer of the issuer may have; two keys take one thousand. */
const maxBytes = 64 * 1024;
/** A key that is not known is looked for this often at most. */
const refreshMs = 60_000;
/** The same while no key is known at all. */
const firstRefreshMs = 5000;
/** Keys are looked at again after this long, so that one which was withdrawn does not hold for ever. */
const freshMs = 3_600_000;

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });
const keySetSchema = z.object({ keys: z.array(z.record(z.string(), z.unknown())).max(100) });

/** The public keys of an OpenID issuer, fetched when they are needed, and again for one that is not among them. */
export class ClusterKeys {
  readonly #issuer: string;
  readonly #now: () => number;
  #known: { readonly find: JWTVerifyGetKey; readonly ids: ReadonlySet<unknown> } | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #failure: ProblemError | undefined;
  #asking: Promise<void> | undefined;

  /**
   * @param issuer a URL: https, or http of this machine
   * @throws Error for another
   */
  constructor(issuer: string, now: () => number) {
    refusePlain(issuer);
    this.#issuer = issuer;
    this.#now = now;
  }

  /**
   * The key that a token names.
   * @throws ProblemError `unavailable` where the issuer cannot be asked, and what jose throws where it has no such key
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const isStale = this.#now() >= this.#askedAt + freshMs;
    if (isStale || !this.#known?.ids.has(header.kid)) await this.#refresh();
    // Without any key it cannot be told whether a token is good; with some, an issuer that is down changes nothing.
    if (this.#known === undefined) throw this.#failure ?? unavailable('has not answered');
    return await this.#known.find(header, token);
  };

  async #refresh(): Promise<void> {
    const pauseMs = this.#known ? refreshMs : firstRefreshMs;
    if (this.#asking === undefined && this.#now() < this.#askedAt + pauseMs) return;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  async #ask(): Promise<void> {
    this.#askedAt = this.#now();
    try {
      const base = this.#issuer.replace(/\/+$/, '');
      const discovery = discoverySchema.parse(await fetchJson(`${base}/.well-known/openid-configuration`));
      if (discovery.issuer !== this.#issuer) throw new Error(`it calls itself ${discovery.issuer}`);
      refusePlain(discovery.jwks_uri);
      const keys = keySetSchema.parse(await fetchJson(discovery.jwks_uri)) as unknown as JSONWebKeySet;
      this.#known = { find: createLocalJWKSet(keys), ids: new Set(keys.keys.map(({ kid }) => kid)) };
      this.#failure = undefined;
    } catch (error) {
      this.#failure = unavailable(reasonOf(error));
    }
  }
}

function unavailable(reason: string): ProblemError {
  return new ProblemError('unavailable', `The cluster's issuer cannot be asked for its keys: ${reason}`);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

/** Keys that come over an open line could be anybody's. @throws Error */
function refusePlain(address: string): void {
  const { protocol, hostname } = new URL(address);
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback)) return;
  throw new Error(`${address} is not https`);
}

async function fetchJson(url: string): Promise<unknown> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.byteLength;
    if (length > maxBytes) throw new Error(`${url} answered more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString()) as unknown;
}
