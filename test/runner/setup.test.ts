import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { type Runner, startRunner } from '../../services/runner/app.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryProtocol } from './memory-protocol.ts';

function runnerOf(port: number, startsBeforeServer: boolean): Runner {
  const runner = startRunner({
    protocol: new MemoryProtocol(),
    instanceId: 'instance-1',
    pool: { id: 'pool', concurrency: 1, streams: false },
    cogUrl: `http://127.0.0.1:${port}`,
    setupTimeoutMs: 100,
    startsBeforeServer,
  });
  onTestFinished(() => runner.drain({ graceMs: 0 }));
  return runner;
}

test('a server that has to wait for its image has all its time for setup from its first answer', async () => {
  const port = await freePort();
  const patient = runnerOf(port, true);
  const other = runnerOf(port, false);

  await expect.poll(() => other.failure?.code).toBe('setup_timed_out');
  expect(patient.phase).toBe('setup');

  const server = createServer((_, response) =>
    response.end(JSON.stringify({ status: 'STARTING', setup: { status: 'starting', logs: 'loading' } })),
  );
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await expect.poll(() => patient.setupLogs).toBe('loading');
  await expect.poll(() => patient.failure?.code).toBe('setup_timed_out');
});
