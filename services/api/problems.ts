import type { Context, ErrorHandler, NotFoundHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { isDiskFull } from '../core/disk-full.ts';
import { ProblemError } from '../core/errors.ts';
import { traceOfLog } from '../core/trace.ts';

/** Seconds after which it is worth to try again whether there is room. */
const diskRetrySeconds = 5;

/** Answers every error as problem+json; what is no `ProblemError` is a bug and shows no details. */
export function handleErrors(logger: Logger): ErrorHandler {
  return (error, context) => {
    const problem = asProblem(error);
    if (problem.status >= 500) {
      const trace = traceOfLog(context.get('traceparent') ?? context.req.header('traceparent'));
      logger.error({ err: error, path: context.req.path, ...trace }, 'request failed');
    }
    return problemResponse(context, problem);
  };
}

/** Unknown routes, and known ones by the wrong method. */
export function handleNotFound(methodsOf: (path: string) => readonly string[]): NotFoundHandler {
  return (context) => {
    const methods = methodsOf(context.req.path);
    const { method, path } = context.req;
    if (methods.length === 0)
      return problemResponse(context, new ProblemError('not_found', `There is no ${path} here.`));
    const detail = `${path} takes ${methods.join(', ')}, not ${method}.`;
    return problemResponse(
      context,
      new ProblemError('method_not_allowed', detail, { allow: methods.join(', ') }),
    );
  };
}

/** A body or query that does not fit its schema: a line for each mistake. */
export function handleInvalid(result: { success: boolean; error?: z.ZodError; target?: string }): void {
  if (result.success || !result.error) return;
  const lines = result.error.issues.map(({ path, message }) => `- ${path.join('.') || 'body'}: ${message}`);
  throw new ProblemError(result.target === 'json' ? 'invalid_body' : 'invalid_request', lines.join('\n'));
}

export function problemResponse(context: Context, error: ProblemError): Response {
  return context.body(JSON.stringify(error.toProblem()), error.status as 400, {
    'content-type': 'application/problem+json',
    // The Python client 2.x would repeat a conflict, which here is none that passes.
    ...(error.status === 409 && { 'x-should-retry': 'false' }),
    ...error.headers,
  });
}

export function invalidJson(): ProblemError {
  return new ProblemError('invalid_json', 'The body could not be read as JSON.');
}

/** What of an error its sender may know. */
export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof HTTPException && error.status === 400) {
    return invalidJson();
  }
  if (error instanceof HTTPException && error.status === 413) {
    return new ProblemError('payload_too_large', 'The body is larger than this server takes.');
  }
  if (isDiskFull(error)) {
    const detail =
      'The disk of this server is full, so nothing was stored. Send the request again later. Whoever runs the ' +
      'server can make room: `npx mimeo doctor` says where; no restart is needed.';
    return new ProblemError('unavailable', detail, { 'retry-after': String(diskRetrySeconds) });
  }
  return new ProblemError('internal', 'Something went wrong on our side; it has been logged.');
}
