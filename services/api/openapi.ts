import type { z } from 'zod';
import { problemKinds } from '../core/errors.ts';
import { problemSchema } from './schemas.ts';

/** A JSON answer in a route's description. */
export function jsonResponse<T extends z.ZodType>(schema: T, description: string) {
  return { content: { 'application/json': { schema } }, description };
}

/** A JSON body in a route's description. */
export function jsonBody<T extends z.ZodType>(schema: T) {
  return { content: { 'application/json': { schema } }, required: true } as const;
}

/** The refusals that a route may answer with, by status. */
export function problems(...statuses: readonly number[]) {
  const responses = statuses.map((status) => [
    status,
    { content: { 'application/problem+json': { schema: problemSchema } }, description: titleOf(status) },
  ]);
  return Object.fromEntries(responses) as Record<never, never>;
}

function titleOf(status: number): string {
  return Object.values(problemKinds).find((kind) => kind.status === status)?.title ?? 'Refused';
}
