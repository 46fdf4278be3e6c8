import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { z } from 'zod';

const host = join(import.meta.dirname, 'function-host.ts');

const messageSchema = z.union([
  z.object({ ready: z.literal(true) }),
  z.object({ id: z.int(), result: z.unknown() }),
  z.object({ id: z.int(), error: z.string() }),
]);

/** A Lambda function as a process of its own, run from its bundle with nothing but its own environment. */
export interface FunctionProcess {
  /** @throws Error with what the function threw */
  invoke(event: unknown): Promise<unknown>;
  stop(): Promise<void>;
}

/**
 * Starts a function.
 * @param bundle absolute path of `main.mjs`
 * @param timeoutMs what the function is told that it has for each event
 */
export async function startFunction(
  bundle: string,
  env: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<FunctionProcess> {
  const child = fork(host, [bundle], {
    env: { PATH: process.env.PATH, ...env },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const exited = once(child, 'exit');
  const said: string[] = [];
  child.stderr?.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const ready = Promise.withResolvers<void>();
  const failAll = (error: Error) => {
    ready.reject(error);
    for (const one of waiting.values()) one.reject(error);
  };
  child.once('exit', (code) => failAll(new Error(`${bundle} ended with ${code}: ${said.join('')}`)));
  child.on('message', (given) => {
    const message = messageSchema.parse(given);
    if ('ready' in message) return ready.resolve();
    const one = waiting.get(message.id);
    waiting.delete(message.id);
    if ('error' in message) one?.reject(new Error(message.error));
    else one?.resolve(message.result);
  });
  await ready.promise;
  let last = 0;
  return {
    async invoke(event) {
      last += 1;
      const answer = Promise.withResolvers<unknown>();
      waiting.set(last, answer);
      child.send({ id: last, event, timeoutMs });
      return await answer.promise;
    },
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
