import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { type Runner, startRunner } from '../../services/runner/app.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryProtocol } from './memory-protocol.ts';

function runnerOf(port: number, firstAnswerMs?: number): Runner {
  const runner = startRunner({
    protocol: new MemoryProtocol(),
    instanceId: 'instance-1',
    pool: { id: 'pool', concurrency: 1, streams: false },
    cogUrl: `http://127.0.0.1:${port}`,
    setupTimeoutMs: 400,
    firstAnswerMs,
  });
  onTestFinished(() => runner.drain({ graceMs: 0 }));
  return runner;
}

test('a server that has to wait for its image has all its time for setup from its first answer', async () => {
  const port = await freePort();
  const patient = runnerOf(port, 60_000);
  const other = runnerOf(port);

  await expect.poll(() => other.failure?.message).toBe('Setup took longer than 0 s.');
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
  await expect.poll(() => patient.failure?.message).toBe('Setup took longer than 0 s.');
});

test('a server that never answers is given up, too', async () => {
  const runner = runnerOf(await freePort(), 1000);

  await expect
    .poll(() => runner.failure, { timeout: 5000 })
    .toEqual({
      code: 'setup_timed_out',
      message: "The model's server gave no answer for 1 s.",
    });
});
