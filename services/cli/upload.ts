import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { z } from 'zod';
import { type Client, refusal } from './client.ts';

const fileAnswer = z.looseObject({ urls: z.looseObject({ get: z.string() }) });

/**
 * Uploads a file of this machine as it is read.
 * @returns a URL that reads it, for a day
 * @throws ApiError, UnreachableError; the reason of `signal` when it aborts
 */
export async function uploadFile(
  client: Client,
  path: string,
  mediaType: string,
  signal: AbortSignal,
): Promise<string> {
  const form = new FormData();
  form.append('content', await openAsBlob(path, { type: mediaType }), basename(path));
  try {
    const { headers } = client;
    const response = await fetch(client.url('/files'), { method: 'POST', headers, body: form, signal });
    const text = await response.text();
    if (!response.ok) throw refusal(client.server.url, response.status, text);
    return fileAnswer.parse(JSON.parse(text)).urls.get;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw client.explain(error);
  }
}
