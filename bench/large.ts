import { createHash, randomBytes } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type MemoryUse, watchMemory } from './memory.ts';
import { predict, uploadFile } from './mimeo-api.ts';
import type { MimeoServer } from './servers.ts';
import { type Spread, spread } from './summary.ts';

const megabyte = 1024 * 1024;
/** Each takes twice the file's size of the disk until the bench has ended. */
const rounds = 3;

/** A large file through upload, model and download, MiB a second of each leg. */
export interface LargeSummary {
  readonly megabytes: number;
  readonly upload: Spread;
  readonly model: Spread;
  readonly download: Spread;
  /** Of the platform's own process. */
  readonly memory: MemoryUse;
}

/**
 * Sends a file to a model that gives it back, and reads it.
 * @param options.version of a model with a file in and the same file out
 * @throws Error where a byte is not what it was
 */
export async function measureLargeFile(options: {
  readonly server: MimeoServer;
  readonly version: string;
  readonly folder: string;
  readonly megabytes: number;
  readonly say: (line: string) => void;
}): Promise<{ readonly summary: LargeSummary; readonly predictions: number }> {
  const { server, version, folder, megabytes, say } = options;
  const path = join(folder, 'large.bin');
  const legs = { upload: [] as number[], model: [] as number[], download: [] as number[] };
  const round = async (size: number): Promise<Record<keyof typeof legs, number>> => {
    const digest = await writeRandomFile(path, size);
    const sent = performance.now();
    const file = await uploadFile(server, await openAsBlob(path));
    const stored = performance.now();
    const { output } = await predict(server, version, { file }, { wait: true });
    const ended = performance.now();
    if ((await digestAt(String(output))) !== digest) throw new Error('A file came back as another one');
    const read = performance.now();
    const speed = (ms: number) => (size / ms) * 1000;
    return { upload: speed(stored - sent), model: speed(ended - stored), download: speed(read - ended) };
  };
  try {
    // Starts the instance, and compiles what all of them run through.
    await round(1);
    const { memory } = await watchMemory(server.pid, async () => {
      for (let turn = 1; turn <= rounds; turn += 1) {
        const speeds = await round(megabytes);
        for (const leg of ['upload', 'model', 'download'] as const) legs[leg].push(speeds[leg]);
        const [up, through, down] = [speeds.upload, speeds.model, speeds.download].map(Math.round);
        say(`${megabytes} MiB, round ${turn}: up ${up}, through the model ${through}, down ${down} MiB/s`);
      }
    });
    const { upload, model, download } = legs;
    const summary = {
      megabytes,
      upload: spread(upload),
      model: spread(model),
      download: spread(download),
      memory,
    };
    return { summary, predictions: rounds + 1 };
  } finally {
    await rm(path, { force: true });
  }
}

/** @returns the file's SHA-256 */
async function writeRandomFile(path: string, megabytes: number): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'w');
  try {
    for (let written = 0; written < megabytes; written += 1) {
      const chunk = randomBytes(megabyte);
      hash.update(chunk);
      await file.write(chunk);
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

async function digestAt(url: string): Promise<string> {
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new Error(`The download was answered ${response.status}`);
  const hash = createHash('sha256');
  for await (const chunk of response.body) hash.update(chunk);
  return hash.digest('hex');
}
