import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { type Runner, type RunnerOptions, startRunner } from '../../services/runner/app.ts';
import { MemoryProtocol } from './memory-protocol.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that claims to be ready and then answers runs as no Cog server would. */
export async function startUntrusted(
  run: Answer,
  options: Partial<RunnerOptions> = {},
): Promise<{ readonly runner: Runner; readonly protocol: MemoryProtocol }> {
  const server = createServer((request, response) => {
    if (request.url === '/health-check') {
      response.end(JSON.stringify({ status: 'READY', setup: { status: 'succeeded', logs: '' } }));
    } else if (request.method === 'PUT') {
      run(request, response);
    } else {
      response.statusCode = 404;
      response.end('{}');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const protocol = new MemoryProtocol();
  const runner = startRunner({
    protocol,
    instanceId: 'instance-1',
    pool: { id: 'pool', concurrency: 1, streams: false },
    cogUrl: `http://127.0.0.1:${port}`,
    ...options,
  });
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await runner.drain({ graceMs: 0 });
  });
  return { runner, protocol };
}
