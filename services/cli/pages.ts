import { z } from 'zod';
import type { Client } from './client.ts';

/** The results of all pages of a list, in order. */
export async function allPages<Schema extends z.ZodType>(
  client: Client,
  path: string,
  schema: Schema,
  signal: AbortSignal,
): Promise<z.infer<Schema>[]> {
  const page = z.looseObject({ next: z.string().nullish(), results: z.array(schema) });
  const results: z.infer<Schema>[] = [];
  for (let query = ''; ; ) {
    const answer = await client.call('GET', `${path}${query}`, page, { signal });
    results.push(...answer.results);
    const cursor = answer.next && URL.parse(answer.next)?.searchParams.get('cursor');
    if (!cursor) return results;
    query = `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`;
  }
}
