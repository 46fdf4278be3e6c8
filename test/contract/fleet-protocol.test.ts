import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { describe, expect, it, vi } from 'vitest';
import { sharedPoolId } from '../../services/core/pool.ts';
import { createHttpFleetProtocol } from '../../services/ports/fleet-protocol/http.ts';
import { protocolHeader, protocolVersion } from '../../services/ports/fleet-protocol/port.ts';
import { openApi } from '../support/api.ts';
import { fleetProtocolContract } from './fleet-protocol.ts';

describe('the fleet protocol in one process', () => {
  fleetProtocolContract(async ({ api }) => ({
    as: (identity) => api.dispatch.protocolFor(identity),
    close: async () => undefined,
  }));
});

describe('the fleet protocol over HTTP', () => {
  fleetProtocolContract(async ({ api }) => {
    const server = createAdaptorServer({ fetch: api.app.fetch }) as Server;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return {
      as: (identity) => createHttpFleetProtocol({ url, token: api.fleetTokens.mint(identity, 3600) }),
      async close() {
        server.closeAllConnections();
        server.close();
        await once(server, 'close');
      },
    };
  });
});

describe('a lease over HTTP', () => {
  it('is durable before it is handed out: its model may outlive this process', async () => {
    const test = await openApi();
    const { id: version } = await test.addModel({ name: 'echo' });
    const pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });
    await test.call('POST', '/v1/models/local/echo/predictions', { input: { text: 'x' } });
    const write = vi.spyOn(test.table, 'write');

    const response = await test.api.app.request('/fleet/v1/lease', {
      method: 'POST',
      headers: {
        authorization: `Bearer ${test.api.fleetTokens.mint({ role: 'runner', pool }, 60)}`,
        [protocolHeader]: String(protocolVersion),
      },
      body: JSON.stringify({ instance: 'i', waitSeconds: 0 }),
    });

    expect(await response.json()).toMatchObject({ attempt: 1 });
    expect(write.mock.calls.map(([, durability = 'now']) => durability)).toEqual(['now']);
    await test.close();
  });

  it('that cannot be written now, as on a full disk, is there for the next who asks', async () => {
    const test = await openApi();
    const { id: version } = await test.addModel({ name: 'echo' });
    const pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });
    await test.call('POST', '/v1/models/local/echo/predictions', { input: { text: 'x' } });
    const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
    const full = Object.assign(new Error('database or disk is full'), { errcode: 13 });
    vi.spyOn(test.table, 'write').mockRejectedValueOnce(full);

    await expect(runner.lease({ instance: 'i', waitSeconds: 0 })).rejects.toBe(full);
    expect(await runner.lease({ instance: 'i', waitSeconds: 0 })).toMatchObject({ attempt: 1 });
    await test.close();
  });

  it('whose answer cannot be sent to its end puts the job back at once', async () => {
    const test = await openApi();
    const { id: version } = await test.addModel({ name: 'echo' });
    const pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });
    // More than the buffers on the way take while nobody reads.
    const input = { text: 'x'.repeat(9_000_000) };
    const created = await test.call('POST', '/v1/models/local/echo/predictions', { input });
    const { id } = (await created.json()) as { id: string };
    const server = createAdaptorServer({ fetch: test.api.app.fetch }) as Server;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const body = JSON.stringify({ instance: 'i', waitSeconds: 0 });
    const token = test.api.fleetTokens.mint({ role: 'runner', pool }, 60);

    client.pause();
    client.write(
      'POST /fleet/v1/lease HTTP/1.1\r\nhost: api\r\ncontent-type: application/json\r\n' +
        `authorization: Bearer ${token}\r\n${protocolHeader}: ${protocolVersion}\r\n` +
        `content-length: ${body.length}\r\n\r\n${body}`,
    );
    const status = async () => (await test.flow.jobs.get(id))?.status;
    await expect.poll(status).toBe('processing');
    await once(client, 'readable');
    client.destroy();

    await expect.poll(status).toBe('starting');
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    await test.close();
  });

  it('that is given up while its answer arrives still has it, so that the job can be given back', async () => {
    const assignment = {
      id: 'job',
      attempt: 1,
      kind: 'prediction',
      version: 'v',
      input: {},
      traceparent: null,
    };
    const begun = Promise.withResolvers<() => void>();
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(' ');
      begun.resolve(() => response.end(JSON.stringify(assignment)));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const abort = new AbortController();

    const leasing = createHttpFleetProtocol({ url, token: '' }).lease(
      { instance: 'i', waitSeconds: 20 },
      abort.signal,
    );
    const finish = await begun.promise;
    // The answer's head is on its way; nothing tells when it has arrived.
    await new Promise((done) => setTimeout(done, 100));
    abort.abort();
    finish();

    expect(await leasing).toEqual(assignment);
    server.close();
    server.closeAllConnections();
  });
});
