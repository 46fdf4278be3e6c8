import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** A real server of the Redis protocol: Debian's `redis-server` or `valkey-server`, which must be on PATH. */
export interface ValkeyServer {
  readonly url: string;
  /** Ends it as a crash would; `start` brings it back, empty, on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Starts an empty server on a free port. */
export async function startValkey(): Promise<ValkeyServer> {
  const port = await freePort();
  let stop = await launch(port);
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: () => stop(),
    async start() {
      stop = await launch(port);
    },
  };
}

async function launch(port: number): Promise<() => Promise<void>> {
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const ready = new Promise<void>((resolve, reject) => {
    child.once('error', () =>
      reject(new Error('redis-server is not on PATH. Install it: apt-get install redis-server')),
    );
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.includes('Ready to accept connections')) resolve();
    });
  });
  await ready;
  return async () => {
    child.kill('SIGKILL');
    await exited;
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
