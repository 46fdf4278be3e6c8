import { z } from 'zod';
import { type ProblemCode, ProblemError, problemKinds } from '../../core/errors.ts';
import {
  assignmentSchema,
  demandSchema,
  type FleetProtocol,
  filePlaceSchema,
  poolHeader,
  protocolHeader,
  protocolVersion,
  runnerTokenSchema,
  stopListSchema,
} from './port.ts';

/** A call that is not a long poll is given up after this long. */
const callTimeoutMs = 30_000;
/** What a long poll may take longer than it was asked to wait. */
const pollMarginMs = 10_000;

const problemSchema = z.object({ code: z.string(), detail: z.string() });

/**
 * The fleet protocol over outbound HTTP, as a peer on another machine speaks it.
 * Calls throw `ProblemError` where the api refuses them, and `unavailable` where it cannot be reached.
 */
export function createHttpFleetProtocol(options: {
  readonly url: string;
  /** A function where it changes from time to time. */
  readonly token: string | (() => Promise<string>);
  /** The pool of a runner whose token is its pod's. */
  readonly pool?: string;
}): FleetProtocol {
  const call = callerOf(options);

  /** A long poll that was aborted has simply found nothing. */
  async function poll<T>(
    name: string,
    body: { waitSeconds: number },
    schema: z.ZodType<T>,
    signal: AbortSignal | undefined,
    nothing: T,
  ) {
    try {
      return await call(name, body, schema, { timeoutMs: body.waitSeconds * 1000 + pollMarginMs, signal });
    } catch (error) {
      if (signal?.aborted) return nothing;
      throw error;
    }
  }

  return {
    lease: async (request, signal) => poll('lease', request, assignmentSchema.nullable(), signal, null),
    heartbeat: async (request) => call('heartbeat', request, stopListSchema),
    watch: async (request, signal) => poll('watch', request, stopListSchema, signal, { stop: [] }),
    report: async (report) => void (await call('report', report, z.null())),
    placeFile: async (request) => call('place-file', request, filePlaceSchema),
    giveBack: async (job) => void (await call('give-back', job, z.null())),
    demand: async (request, signal) => poll('demand', request, demandSchema, signal, { pools: [] }),
    reportPool: async (state) => void (await call('pool', state, z.null())),
    reportInstance: async (report) => void (await call('instance', report, z.null())),
    drain: async (request) => void (await call('drain', request, z.null())),
    refuse: async (request) => void (await call('refuse', request, z.null())),
  };
}

/**
 * Tokens of runners that a director starts, each used for half of its life.
 * @param options of the director
 */
export function createRunnerTokens(options: {
  readonly url: string;
  readonly token: string | (() => Promise<string>);
}): {
  /** @throws ProblemError as the protocol's calls do */
  of(pool: string): Promise<string>;
} {
  const call = callerOf(options);
  const tokens = new Map<string, { readonly token: string; readonly freshUntil: number }>();
  return {
    async of(pool) {
      const askedAt = Date.now();
      const known = tokens.get(pool);
      if (known && askedAt < known.freshUntil) return known.token;
      const { token, lifeSeconds } = await call('runner-token', { pool }, runnerTokenSchema);
      tokens.set(pool, { token, freshUntil: askedAt + (lifeSeconds * 1000) / 2 });
      return token;
    },
  };
}

/** One POST a call. @throws ProblemError where the api refuses it, and `unavailable` where it cannot be reached */
function callerOf(options: {
  readonly url: string;
  readonly token: string | (() => Promise<string>);
  readonly pool?: string;
}) {
  const base = `${options.url.replace(/\/+$/, '')}/fleet/v1`;
  const { token } = options;

  return async function call<T>(
    name: string,
    body: object,
    schema: z.ZodType<T>,
    limits: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    const headers = {
      authorization: `Bearer ${typeof token === 'string' ? token : await token()}`,
      'content-type': 'application/json',
      [protocolHeader]: String(protocolVersion),
      ...(options.pool === undefined ? {} : { [poolHeader]: options.pool }),
    };
    const { signal } = limits;
    const given = new AbortController();
    const giveUp = () => given.abort();
    if (signal?.aborted) giveUp();
    signal?.addEventListener('abort', giveUp);
    const timeout = AbortSignal.timeout(limits.timeoutMs ?? callTimeoutMs);
    const response = await fetch(`${base}/${name}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal: AbortSignal.any([given.signal, timeout]),
    })
      .catch((cause: unknown) => {
        throw new ProblemError(
          'unavailable',
          `The api at ${options.url} could not be reached: ${reasonOf(cause)}`,
        );
      })
      // An answer that has begun is read to its end: it may hold a job, which then can be given back.
      .finally(() => signal?.removeEventListener('abort', giveUp));
    if (!response.ok) throw await problemOf(response);
    return schema.parse(await response.json());
  };
}

async function problemOf(response: Response): Promise<ProblemError> {
  const parsed = problemSchema.safeParse(await response.json().catch(() => undefined));
  if (parsed.success && parsed.data.code in problemKinds) {
    return new ProblemError(parsed.data.code as ProblemCode, parsed.data.detail);
  }
  return new ProblemError('unavailable', `The api answered ${response.status}.`);
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.cause instanceof Error ? cause.cause.message : cause.message;
}
