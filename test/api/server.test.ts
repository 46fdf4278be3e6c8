import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { serveApi } from '../../services/api/server.ts';
import { endStalledBodies } from '../../services/api/slow-bodies.ts';

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
  const asked = get({ host: '127.0.0.1', port: server.port, agent });
  const answered = once(asked, 'response');
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

describe('the body of a request', () => {
  /** An api that has read how much of a body, and what became of it. */
  async function reading() {
    const read = { bytes: 0, end: '' };
    const fetch = async ({ body }: Request) => {
      try {
        for await (const chunk of body ?? []) read.bytes += chunk.length;
        read.end = 'whole';
      } catch {
        read.end = 'broken';
      }
      return new Response('ok');
    };
    const slowestBody = { bytes: 1, withinMs: 100 };
    const parts = { fetch, drain: () => {}, leave: () => {} };
    const server = await serveApi(parts, { ...options, drainSeconds: 1, slowestBody });
    const sent = request({ host: '127.0.0.1', port: server.port, method: 'POST' });
    sent.on('error', () => {});
    return { server, sent, read };
  }

  it('is ended where nothing more of it comes', async () => {
    const { server, sent, read } = await reading();
    sent.write('a');

    await expect.poll(() => read).toEqual({ bytes: 1, end: 'broken' });
    await server.drain();
  });

  it('takes as long as it needs while it comes', async () => {
    const { server, sent, read } = await reading();
    const answered = once(sent, 'response');
    const endsAt = performance.now() + 500;
    let pieces = 0;
    while (performance.now() < endsAt) {
      sent.write('a');
      pieces += 1;
      await expect.poll(() => read.bytes, { interval: 5 }).toBe(pieces);
    }
    sent.end();
    const [response] = (await answered) as [IncomingMessage];

    expect(response.statusCode).toBe(200);
    expect(read).toEqual({ bytes: pieces, end: 'whole' });
    response.resume();
    await server.drain();
  });

  it('is not ended by Node’s own limit of 5 minutes', () => {
    const server = createServer();
    endStalledBodies(server);

    expect(server.requestTimeout).toBe(0);
    expect(server.headersTimeout).toBeGreaterThan(0);
  });
});
