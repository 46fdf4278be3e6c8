import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { serveApi } from '../../services/api/server.ts';

const options = { host: '127.0.0.1', port: 0, idleTimeoutSeconds: 120, deregistrationSeconds: 0 };

/** Whether something listens there. */
async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

it('a drain ends with the last request that was under way, though its client keeps the connection', async () => {
  const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>();
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const fetch = async () => {
    arrive();
    await mayAnswer;
    return new Response('ok');
  };
  const quiet = { fetch, drain: () => {}, leave: () => {} };
  // Longer than a test may take: only its requests' ends can end this drain.
  const server = await serveApi(quiet, { ...options, drainSeconds: 600 });
  const agent = new Agent({ keepAlive: true });
  const request = get({ host: '127.0.0.1', port: server.port, agent });
  const answered = once(request, 'response');
  await arrived;
  const drained = server.drain();
  await expect.poll(() => listens(server.port)).toBe(false);
  answer();
  const [response] = (await answered) as [IncomingMessage];
  response.resume();
  await once(response, 'end');

  expect(response.headers.connection).toBe('keep-alive');
  await drained;
  agent.destroy();
});
