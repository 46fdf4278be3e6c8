import type { IncomingMessage, Server } from 'node:http';

/** What a body has to bring, and within which time, until it has come whole. */
export interface SlowestBody {
  readonly bytes: number;
  readonly withinMs: number;
}

/** 2 kbit/s: slower than any line that files are sent over, and faster than what only holds a place. */
const slowest: SlowestBody = { bytes: 16 * 1024, withinMs: 60_000 };

/**
 * Lets bodies take the time that they need. Node ends every request after 5 minutes, which cuts a large upload over a
 * slow line; here only what has all but stopped is ended. Headers keep Node's own limit of a minute.
 */
export function endStalledBodies(server: Server, { bytes, withinMs }: SlowestBody = slowest): void {
  server.requestTimeout = 0;
  server.prependListener('request', (request: IncomingMessage) => {
    if (!hasBody(request)) return;
    const { socket } = request;
    let known = socket.bytesRead;
    const looks = setInterval(() => {
      // What has come and was not read yet waits for us, not for its sender.
      if (request.complete || request.readableLength > 0) return;
      if (socket.bytesRead - known < bytes) socket.destroy();
      known = socket.bytesRead;
    }, withinMs);
    looks.unref();
    request.once('close', () => clearInterval(looks));
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
