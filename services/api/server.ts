import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createAdaptorServer } from '@hono/node-server';
import type { Api } from './app.ts';
import { endStalledBodies, type SlowestBody } from './slow-bodies.ts';

/** A connection that the load balancer still takes for open must be: else it answers 502. */
const keptLongerSeconds = 5;
/** What streams and waits have left to end in, once they are told to. */
const lastWordsSeconds = 5;
/** While it drains: a connection whose last answer has gone out is let go this soon after. */
const idleLookMs = 200;

export interface ServerOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** After this long without traffic the load balancer closes a connection. */
  readonly idleTimeoutSeconds: number;
  /** How long a drain takes at most. */
  readonly drainSeconds: number;
  /** For how long after its beginning a load balancer may still send requests here. */
  readonly deregistrationSeconds: number;
  /** A body that comes slower is ended. @default that of `endStalledBodies` */
  readonly slowestBody?: SlowestBody;
}

/** An api that listens. */
export interface ApiServer {
  readonly port: number;
  /**
   * Leaves without hurting anybody: load balancers are told to send nothing more and the fleet's polls end at once;
   * whatever else is under way goes on to its end, for as long as there is time. Streams and waits that would take longer
   * are ended so that their clients come back, to another process.
   */
  drain(): Promise<void>;
}

/** Serves an api over HTTP, behind a load balancer that speaks TLS. */
export async function serveApi(
  api: Pick<Api, 'fetch' | 'drain' | 'leave'>,
  options: ServerOptions,
): Promise<ApiServer> {
  const server = createAdaptorServer({ fetch: api.fetch }) as Server;
  server.keepAliveTimeout = (options.idleTimeoutSeconds + keptLongerSeconds) * 1000;
  endStalledBodies(server, options.slowestBody);
  let isLeaving = false;
  server.prependListener('request', (_, response) => {
    if (isLeaving) response.setHeader('connection', 'close');
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async drain() {
      const { drainSeconds } = options;
      const endAt = performance.now() + drainSeconds * 1000;
      const lastWordsAt = endAt - Math.min(lastWordsSeconds, drainSeconds / 2) * 1000;
      isLeaving = true;
      api.drain();
      await pause(Math.min(options.deregistrationSeconds * 1000, lastWordsAt - performance.now()));
      const closed = once(server, 'close');
      server.close();
      // It lets go of what is idle now; a connection with an answer under way is idle later, and kept for minutes.
      const looks = setInterval(() => server.closeIdleConnections(), idleLookMs);
      void closed.finally(() => clearInterval(looks));
      await Promise.race([closed, elapsed(lastWordsAt)]);
      api.leave();
      await Promise.race([closed, elapsed(endAt)]);
      server.closeAllConnections();
      await closed;
    },
  };
}

/** @param at by `performance.now()` */
async function elapsed(at: number): Promise<void> {
  await pause(Math.max(0, at - performance.now()), undefined, { ref: false });
}
