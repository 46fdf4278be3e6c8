import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestCertificate } from './certificate.ts';
import { freePort } from './free-port.ts';

/** A real server of the Redis protocol: Debian's `redis-server` or `valkey-server`, which must be on PATH. */
export interface ValkeyServer {
  readonly url: string;
  readonly port: number;
  /** Ends it as a crash would; `start` brings it back, empty, on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Starts an empty server on a free port, which speaks TLS only where it has a certificate. */
export async function startValkey(tls?: TestCertificate): Promise<ValkeyServer> {
  const port = await freePort();
  let stop = await launch(port, tls);
  return {
    url: `${tls ? 'rediss' : 'redis'}://127.0.0.1:${port}`,
    port,
    stop: () => stop(),
    async start() {
      stop = await launch(port, tls);
    },
  };
}

async function launch(port: number, tls: TestCertificate | undefined): Promise<() => Promise<void>> {
  const secured = tls
    ? [
        '--port',
        '0',
        '--tls-port',
        String(port),
        '--tls-cert-file',
        tls.certificate,
        '--tls-key-file',
        tls.key,
      ]
    : ['--port', String(port)];
  const trusted = tls ? ['--tls-ca-cert-file', tls.certificate, '--tls-auth-clients', 'no'] : [];
  const options = [...secured, ...trusted, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
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
