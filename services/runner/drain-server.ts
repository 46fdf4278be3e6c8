import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/**
 * Where the kubelet asks for the end before it ends the model: `GET /drain` answers once `drain` has resolved. Whoever
 * reaches this port can end the instance, and nothing else: rules of the network see to it that only its machine does.
 */
export async function openDrainServer(options: {
  readonly port: number;
  readonly drain: () => Promise<void>;
}): Promise<void> {
  const server = createServer((request, response) => {
    answer(request, response, options.drain).catch(() => response.destroy());
  });
  // Other people's code reaches it, too.
  server.headersTimeout = 10_000;
  server.listen(options.port, '0.0.0.0');
  await once(server, 'listening');
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  drain: () => Promise<void>,
): Promise<void> {
  const call = `${request.method} ${request.url}`;
  request.resume();
  if (call === 'GET /drain') await drain();
  const isKnown = call === 'GET /drain' || call === 'GET /healthz';
  response.writeHead(isKnown ? 200 : 404, { 'content-type': 'text/plain' }).end(isKnown ? 'ok\n' : '');
}
