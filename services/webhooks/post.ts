import { Client } from 'undici';
import type { TargetPolicy } from '../core/webhook.ts';
import type { DeliveryAttempt } from '../data/deliveries.ts';
import { checkTarget, type Resolve } from './targets.ts';

/** Bytes of an answer that are read; the rest is nobody's business. */
const maxAnswerBytes = 4096;
/** Characters of an answer, and of an error, that are kept. */
const excerptLength = 500;

/** How receivers are called. */
export interface PostOptions {
  readonly policy: TargetPolicy;
  readonly resolve: Resolve;
  /** For everything: to resolve, connect, send and be answered. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Posts JSON to a webhook's URL over a connection of its own. Redirects are not followed.
 * @returns how it went, without its time; undefined where `signal` ended it
 */
export async function post(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  { policy, resolve, timeoutMs, signal }: PostOptions,
): Promise<Omit<DeliveryAttempt, 'at' | 'ms'> | undefined> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const over = AbortSignal.any([timeout, signal]);
  let client: Client | undefined;
  try {
    const target = await beforeAbort(checkTarget(url, policy, resolve), over);
    client = new Client(target.url.origin, { connect: { lookup: target.lookup, timeout: timeoutMs } });
    const answer = await client.request({
      method: 'POST',
      path: `${target.url.pathname}${target.url.search}`,
      headers: { 'content-type': 'application/json', 'user-agent': 'mimeo-webhooks', ...headers },
      body,
      signal: over,
    });
    const excerpt = await beginningOf(answer.body);
    const isAccepted = answer.statusCode >= 200 && answer.statusCode < 300;
    const error = isAccepted ? null : `The receiver answered ${answer.statusCode}`;
    return { status: answer.statusCode, error, excerpt };
  } catch (error) {
    if (signal.aborted) return undefined;
    const message = timeout.aborted ? `No answer within ${timeoutMs / 1000} s` : messageOf(error);
    return { status: null, error: message.slice(0, excerptLength), excerpt: '' };
  } finally {
    await client?.destroy();
  }
}

/** Its status was the answer: what is wrong with the body, or slow about it, changes nothing. */
async function beginningOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= maxAnswerBytes) break;
    }
  } catch {
    // Too slow, or broken off.
  }
  return Buffer.concat(chunks)
    .subarray(0, maxAnswerBytes)
    .toString('utf8')
    .slice(0, excerptLength)
    .toWellFormed();
}

async function beforeAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  // The error of several addresses has no words of its own.
  return error.message || code || error.name;
}
