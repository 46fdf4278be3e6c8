import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { type MemoryUse, residentBytes, watchMemory } from './memory.ts';
import { cancel, predict, runCount } from './mimeo-api.ts';
import type { MimeoServer } from './servers.ts';

const clients = 8;
const askAgainMs = 50;

/** Predictions that all wait before the first of them runs. */
export interface QueuedSummary {
  readonly predictions: number;
  readonly createdPerSecond: number;
  /** One instance, nobody waiting for an answer. */
  readonly drainedPerSecond: number;
  /** Of the platform's own process while they are created. */
  readonly memory: MemoryUse;
  /** By how much it had grown when all of them waited, for each. */
  readonly bytesEach: number;
}

/**
 * Queues predictions while another model holds the only place, then has them run.
 * @param options.holder a version that runs for as long as its input says, of another model
 * @param options.ranBefore predictions of `name` that are in the ledger already
 */
export async function measureQueue(options: {
  readonly server: MimeoServer;
  readonly name: string;
  readonly version: string;
  readonly holder: string;
  readonly ranBefore: number;
  readonly predictions: number;
  readonly say: (line: string) => void;
}): Promise<QueuedSummary> {
  const { server, name, version, holder, ranBefore, predictions, say } = options;
  const held = await predict(server, holder, { tokens: 1, delay: 0, lead: 3600 }, { wait: false });
  await processing(server, held.id);
  const { result, memory } = await watchMemory(server.pid, async () => {
    const begun = performance.now();
    await createAll(server, version, predictions);
    const createdPerSecond = (predictions / (performance.now() - begun)) * 1000;
    return { createdPerSecond, queuedBytes: residentBytes(server.pid) };
  });
  const { createdPerSecond, queuedBytes } = result;
  say(`${predictions} predictions created, ${Math.round(createdPerSecond)} a second; all of them wait`);
  await cancel(server, held.id);
  const drainedPerSecond = await drain(server, name, ranBefore, predictions);
  say(`all of them ran, ${Math.round(drainedPerSecond)} a second`);
  const bytesEach = (queuedBytes - memory.beforeBytes) / predictions;
  return { predictions, createdPerSecond, drainedPerSecond, memory, bytesEach };
}

async function createAll(server: MimeoServer, version: string, predictions: number): Promise<void> {
  const pool = new Pool(server.url, { connections: clients, pipelining: 1 });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${server.token}` };
  let left = predictions;
  try {
    await Promise.all(
      Array.from({ length: clients }, async () => {
        while (left > 0) {
          left -= 1;
          const body = JSON.stringify({ version, input: { text: `queued-${left}` } });
          const answer = await pool.request({ method: 'POST', path: '/v1/predictions', headers, body });
          const text = await answer.body.text();
          if (answer.statusCode !== 201)
            throw new Error(`A prediction was answered ${answer.statusCode}: ${text.slice(0, 500)}`);
        }
      }),
    );
  } finally {
    await pool.close();
  }
}

/** @returns how many ran in a second, once the first had */
async function drain(
  server: MimeoServer,
  name: string,
  before: number,
  predictions: number,
): Promise<number> {
  let first: { readonly at: number; readonly count: number } | undefined;
  for (;;) {
    const count = (await runCount(server, name)) - before;
    const at = performance.now();
    if (count > 0) first ??= { at, count };
    if (first && count >= predictions) return ((count - first.count) / (at - first.at)) * 1000;
    await delay(askAgainMs);
  }
}

async function processing(server: MimeoServer, id: string): Promise<void> {
  for (;;) {
    const response = await fetch(`${server.url}/v1/predictions/${id}`, {
      headers: { authorization: `Bearer ${server.token}` },
    });
    if (((await response.json()) as { status?: unknown }).status === 'processing') return;
    await delay(askAgainMs);
  }
}
