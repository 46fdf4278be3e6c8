import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A request as it arrived, its body whole. */
interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Handler = (received: Received, response: ServerResponse) => void | Promise<void>;

export interface ContractServer {
  readonly url: string;
  readonly received: Received[];
  /** The bodies that came to `METHOD /path`, parsed. */
  bodies(call: string): unknown[];
  /** Adds routes, `METHOD /path` without `/v1`, or replaces them. */
  on(routes: Readonly<Record<string, Handler>>): void;
  /** Answers `METHOD /v1/path` without reading what comes, and hangs up. */
  refuseAtOnce(call: string, refuse: (response: ServerResponse) => void): void;
}

export const token = 'r8_testtesttesttesttesttesttesttesttesttest';

/**
 * A server that speaks the API's contract for the routes that a test gives it: bearer tokens under `/v1`, problem+json
 * for refusals, and whatever else lies outside `/v1`. It is closed when the test ends.
 */
export async function startServer(routes: Readonly<Record<string, Handler>> = {}): Promise<ContractServer> {
  const received: Received[] = [];
  const table: Record<string, Handler> = {
    'GET /account': (_request, response) =>
      answer(response, 200, {
        type: 'user',
        username: 'ada',
        name: 'Ada',
        github_url: null,
        avatar_url: null,
      }),
    ...routes,
  };
  const atOnce: Record<string, (response: ServerResponse) => void> = {};
  const server = createServer(async (request, response) => {
    const refuse = atOnce[`${request.method} ${request.url}`];
    if (refuse) {
      response.setHeader('connection', 'close');
      return refuse(response);
    }
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const { method = '', url = '', headers } = request;
    const arrived = { method, path: url.replace(/^\/v1/, ''), headers, body: Buffer.concat(chunks) };
    received.push(arrived);
    if (url.startsWith('/v1') && headers.authorization !== `Bearer ${token}`) {
      return problem(response, 401, 'unauthenticated', 'You did not pass a valid token.');
    }
    const handler = table[`${method} ${arrived.path}`];
    if (handler) await handler(arrived, response);
    else problem(response, 404, 'not_found', `There is nothing at ${url}.`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  );
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    bodies: (call) =>
      received
        .filter(({ method, path }) => `${method} ${path}` === call)
        .map(({ body }) => JSON.parse(body.toString())),
    on: (more) => void Object.assign(table, more),
    refuseAtOnce: (call, refuse) => void Object.assign(atOnce, { [call]: refuse }),
  };
}

export function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function problem(response: ServerResponse, status: number, code: string, detail: string): void {
  const body = { type: `https://mimeo.dev/problems/${code}`, title: code, status, detail, code };
  response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(body));
}

/** Begins an event stream. */
export function beginStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
}

/** Sends one event as the API does: an id, a type, and one `data:` line for each line of text. */
export function sendEvent(response: ServerResponse, id: string, event: string, data: string): void {
  const lines = data.split('\n').map((line) => `data: ${line}\n`);
  response.write(`id: ${id}\nevent: ${event}\n${lines.join('')}\n`);
}
