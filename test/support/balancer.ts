import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A load balancer: each request goes to the next server that can be reached. */
export interface Balancer {
  readonly url: string;
  /** Where requests go from now on, as `http://127.0.0.1:PORT`. */
  use(targets: readonly string[]): void;
  close(): Promise<void>;
}

/** Listens on a free port of this machine, so that it is known before its servers are. */
export async function startBalancer(): Promise<Balancer> {
  let targets: readonly URL[] = [];
  let turn = 0;
  const server = createServer((asked, answer) => {
    turn += 1;
    const order = targets.map((_, at) => targets[(turn + at) % targets.length]);
    pass(
      asked,
      answer,
      order.filter((target) => target !== undefined),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    use(urls) {
      targets = urls.map((url) => new URL(url));
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** To the first of the targets that takes a connection; what breaks after that is answered with 502. */
function pass(asked: IncomingMessage, answer: ServerResponse, targets: readonly URL[]): void {
  const [target, ...others] = targets;
  if (!target) {
    answer.writeHead(503).end();
    return;
  }
  const { method, url: path, headers } = asked;
  const inner = request({ host: target.hostname, port: target.port, method, path, headers, agent: false });
  let isConnected = false;
  inner.once('socket', (socket) =>
    socket.once('connect', () => {
      isConnected = true;
      asked.pipe(inner);
    }),
  );
  inner.once('response', (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers);
    answer.flushHeaders();
    response.pipe(answer);
    response.once('error', () => answer.destroy());
  });
  inner.once('error', () => {
    if (!isConnected) pass(asked, answer, others);
    else if (answer.headersSent) answer.destroy();
    else answer.writeHead(502).end();
  });
  answer.once('close', () => {
    if (!answer.writableFinished) inner.destroy();
  });
}
