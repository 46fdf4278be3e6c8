import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { describe } from 'vitest';
import { createHttpFleetProtocol } from '../../services/ports/fleet-protocol/http.ts';
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
