import type { z } from 'zod';
import { problemAnswer } from './answers.ts';
import type { Server } from './config.ts';
import { CliError, exitCodes, usageError } from './failure.ts';

/** The longest that a plain call may take. */
const callTimeoutMs = 60_000;

/** A call that the server refused. */
export class ApiError extends CliError {
  readonly status: number;
  /** One of core's problem codes; undefined where the answer was no problem+json. */
  readonly code: string | undefined;

  constructor(message: string, status: number, code: string | undefined) {
    super(message, status === 401 || status === 403 ? exitCodes.usage : exitCodes.failure);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

/** The server could not be reached, or the connection broke. */
export class UnreachableError extends CliError {
  constructor(message: string) {
    super(message, exitCodes.usage);
    this.name = 'UnreachableError';
  }
}

export interface CallOptions {
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The API of one server, as one account. */
export class Client {
  readonly server: Server;

  constructor(server: Server) {
    this.server = server;
  }

  /** The headers that say who calls. */
  get headers(): Record<string, string> {
    return { authorization: `Bearer ${this.server.token}`, 'user-agent': 'mimeo-cli' };
  }

  /** The whole URL of a path such as `/account`. */
  url(path: string): string {
    return `${this.server.url}/v1${path}`;
  }

  /**
   * Calls and reads the answer.
   * @throws ApiError, UnreachableError; the reason of `signal` when it aborts
   */
  async call<Schema extends z.ZodType>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    schema: Schema,
    options: CallOptions = {},
  ): Promise<z.infer<Schema>> {
    const timeout = AbortSignal.timeout(callTimeoutMs);
    const { json, signal } = options;
    try {
      const response = await fetch(this.url(path), {
        method,
        headers: {
          ...this.headers,
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...options.headers,
        },
        body: json === undefined ? undefined : JSON.stringify(json),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      const text = await response.text();
      if (!response.ok) throw refusal(this.server.url, response.status, text);
      return this.#read(schema, text, `${method} ${path}`);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw timeout.aborted ? this.#unreachable('no answer within a minute') : this.explain(error);
    }
  }

  /** An error of fetch in words; any other error as it is. */
  explain(error: unknown): unknown {
    if (!(error instanceof TypeError)) return error;
    const { code, message } = (error.cause ?? error) as { code?: string; message: string };
    return this.#unreachable(code ?? message);
  }

  #unreachable(reason: string): UnreachableError {
    return new UnreachableError(
      `Nothing answers at ${this.server.url} (${reason}). Is it running? Start it with npm start, ` +
        'or name another server: --url, MIMEO_URL or npx mimeo login URL',
    );
  }

  #read<Schema extends z.ZodType>(schema: Schema, text: string, call: string): z.infer<Schema> {
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw usageError(
      `${this.server.url} answered ${call} with something else than Mimeo would. Is the URL that of a Mimeo server?`,
    );
  }
}

/** The error for an answer that is no success. */
export function refusal(serverUrl: string, status: number, text: string): ApiError {
  const problem = problemAnswer.safeParse(parseJson(text));
  if (!problem.success || !(problem.data.detail || problem.data.title)) {
    return new ApiError(`${serverUrl} answered ${status} without saying why.`, status, undefined);
  }
  const { title, detail, code } = problem.data;
  const message = detail ?? title ?? '';
  if (status === 401) {
    return new ApiError(
      `${serverUrl} does not accept the token: ${message} Log in again: npx mimeo login ${serverUrl}`,
      status,
      code,
    );
  }
  return new ApiError(message, status, code);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
