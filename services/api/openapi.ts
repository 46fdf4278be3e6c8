import type { Context } from 'hono';
import type { z } from 'zod';
import { problemKinds } from '../core/errors.ts';
import { handleInvalid, invalidJson } from './problems.ts';
import { problemSchema } from './schemas.ts';

/** A JSON answer in a route's description. */
export function jsonResponse<T extends z.ZodType>(schema: T, description: string) {
  return { content: { 'application/json': { schema } }, description };
}

/** A JSON body in a route's description. */
export function jsonBody<T extends z.ZodType>(schema: T) {
  return { content: { 'application/json': { schema } }, required: true } as const;
}

/**
 * A request's body, parsed and checked.
 * @throws ProblemError `invalid_json`, or `invalid_body` with a line for each mistake
 */
export async function readBody<T extends z.ZodType>(context: Context, schema: T): Promise<z.infer<T>> {
  const body: unknown = await context.req.json().catch(() => {
    throw invalidJson();
  });
  const result = schema.safeParse(body);
  if (!result.success) handleInvalid({ ...result, target: 'json' });
  return result.data as z.infer<T>;
}

/** The refusals that a route may answer with, by status. */
export function problems(...statuses: readonly number[]) {
  // Whoever needs a token is held to a rate, and may find that the disk is full.
  const all = statuses.includes(401) ? new Set([...statuses, 429, 503]) : statuses;
  const responses = [...all].map((status) => [
    status,
    { content: { 'application/problem+json': { schema: problemSchema } }, description: titleOf(status) },
  ]);
  return Object.fromEntries(responses) as Record<never, never>;
}

function titleOf(status: number): string {
  return Object.values(problemKinds).find((kind) => kind.status === status)?.title ?? 'Refused';
}
