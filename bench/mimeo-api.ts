import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { packFolder } from '../services/registrar/pack.ts';
import type { MimeoServer } from './servers.ts';

/** Whose models the bench makes. */
const owner = 'local';
/** How long the records may take to be complete after the last answer. */
const recordedWithinMs = 10_000;

const versionLine = z.object({ type: z.literal('version'), version: z.object({ id: z.string() }) });
const prediction = z.object({
  id: z.string(),
  status: z.string(),
  output: z.unknown(),
  created_at: z.string(),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
  urls: z.object({ stream: z.string().optional() }),
  cost: z.object({ billed_seconds: z.number().nullable(), micro_usd: z.number().nullable() }),
});
export type Prediction = z.infer<typeof prediction>;

/**
 * Pushes a folder over the API, as `mimeo push` does.
 * @returns the version's id
 */
export async function pushModel(
  server: MimeoServer,
  name: string,
  folder: string,
  say: (line: string) => void,
): Promise<string> {
  await call(server, 'POST', '/v1/models', { owner, name, visibility: 'private', hardware: 'cpu' });
  const { stream } = await packFolder(folder);
  const response = await fetch(`${server.url}/v1/models/${owner}/${name}/versions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/gzip' },
    body: Readable.toWeb(stream) as ReadableStream,
    duplex: 'half',
  } as RequestInit);
  if (!response.ok || !response.body)
    throw new Error(`The push of ${folder} was refused: ${await response.text()}`);
  for await (const line of createInterface({ input: Readable.fromWeb(response.body as never) })) {
    if (line.trim() === '') continue;
    const step = JSON.parse(line) as { type: string; message?: string; problem?: unknown };
    if (step.type === 'progress') say(`  mimeo: ${step.message}`);
    if (step.type === 'problem')
      throw new Error(`The push of ${folder} failed: ${JSON.stringify(step.problem)}`);
    const done = versionLine.safeParse(step);
    if (done.success) return done.data.version.id;
  }
  throw new Error(`The push of ${folder} ended without a version`);
}

/** Runs a version, and waits for its end where asked to. */
export async function predict(
  server: MimeoServer,
  version: string,
  input: Readonly<Record<string, unknown>>,
  options: { readonly wait: boolean },
): Promise<Prediction> {
  const headers = options.wait ? { prefer: 'wait' } : undefined;
  const made = prediction.parse(await call(server, 'POST', '/v1/predictions', { version, input }, headers));
  if (options.wait && made.status !== 'succeeded')
    throw new Error(`A prediction did not succeed: ${JSON.stringify(made)}`);
  return made;
}

/** Asks for a prediction's end. */
export async function cancel(server: MimeoServer, id: string): Promise<void> {
  await call(server, 'POST', `/v1/predictions/${id}/cancel`);
}

/** Uploads a file, which is removed after a day. @returns the URL by which a model reads it */
export async function uploadFile(server: MimeoServer, file: Blob): Promise<string> {
  const body = new FormData();
  body.append('content', file, 'large.bin');
  const headers = { authorization: `Bearer ${server.token}` };
  const response = await fetch(`${server.url}/v1/files`, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`The upload was refused: ${await response.text()}`);
  return z.object({ urls: z.object({ get: z.string() }) }).parse(await response.json()).urls.get;
}

/** How many predictions of a model have ended and are billed. */
export async function runCount(server: MimeoServer, name: string): Promise<number> {
  const model = await call(server, 'GET', `/v1/models/${owner}/${name}`);
  return z.object({ run_count: z.number() }).parse(model).run_count;
}

/**
 * Whether everything was recorded and billed: each run is counted in the same transaction as its usage record, and
 * the latest predictions that can be read have ended and have a cost.
 * @throws Error that says what is missing
 */
export async function verifyRecorded(server: MimeoServer, name: string, predictions: number): Promise<void> {
  const until = performance.now() + recordedWithinMs;
  let runs = -1;
  while (performance.now() < until && runs !== predictions) {
    runs = await runCount(server, name);
    if (runs !== predictions) await delay(50);
  }
  if (runs !== predictions)
    throw new Error(`${predictions} predictions were answered, but ${runs} are in the ledger`);
  const page = z.object({ results: z.array(prediction) }).parse(await call(server, 'GET', '/v1/predictions'));
  const loose = page.results.find(
    ({ status, completed_at, cost }) =>
      status !== 'succeeded' ||
      completed_at === null ||
      cost.billed_seconds === null ||
      cost.micro_usd === null,
  );
  if (loose || page.results.length === 0)
    throw new Error(`A prediction's record is not whole: ${JSON.stringify(loose ?? 'there is none')}`);
}

async function call(
  server: MimeoServer,
  method: 'GET' | 'POST',
  path: string,
  json?: unknown,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${server.token}`,
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: json === undefined ? undefined : JSON.stringify(json),
  });
  const text = await response.text();
  if (!response.ok)
    throw new Error(`${method} ${path} was answered ${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text);
}
