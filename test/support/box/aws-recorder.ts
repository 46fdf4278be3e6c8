import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AwsCall, callsOfRequest, type Place } from './aws-calls.ts';

/** A door to the emulated cloud for one service, which notes what goes through. */
export interface AwsRecorder {
  /** AWS_ENDPOINT_URL of the service. */
  readonly endpoint: string;
  /** What it needed so far, each pair of action and resource once. */
  calls(): readonly AwsCall[];
  /** The same of what it did by a session of another role. */
  sessionCalls(): readonly AwsCall[];
  /** Requests whose permissions are not known. */
  readonly unknown: readonly string[];
  close(): Promise<void>;
}

/** Opens a door to the cloud at `endpoint`. */
export async function startAwsRecorder(endpoint: string, place: Place): Promise<AwsRecorder> {
  const { hostname, port } = new URL(endpoint);
  const calls = new Map<string, AwsCall>();
  const sessionCalls = new Map<string, AwsCall>();
  const unknown: string[] = [];
  const note = (asked: IncomingMessage, body: string) => {
    const { method = '', url = '', headers } = asked;
    const single = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
    try {
      for (const call of callsOfRequest({ method, path: url, headers: single, body }, place)) {
        // Credentials of a session are others than the service's own.
        const isSession = headers['x-amz-security-token'] !== undefined;
        (isSession ? sessionCalls : calls).set(`${call.action} ${call.resource}`, call);
      }
    } catch (error) {
      unknown.push(String(error));
    }
  };
  const server = createServer((asked, answer) => {
    pass(asked, answer, { hostname, port }, (body) => note(asked, body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: () => [...calls.values()],
    sessionCalls: () => [...sessionCalls.values()],
    unknown,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Texts that are noted are small; of a file only its beginning is kept. */
const keptBytes = 1024 * 1024;

function pass(
  asked: IncomingMessage,
  answer: ServerResponse,
  to: { readonly hostname: string; readonly port: string },
  onBody: (text: string) => void,
): void {
  const { method, url: path, headers } = asked;
  const inner = request({ ...to, method, path, headers });
  const chunks: Buffer[] = [];
  let kept = 0;
  asked.on('data', (chunk: Buffer) => {
    if (kept < keptBytes) chunks.push(chunk);
    kept += chunk.length;
  });
  asked.once('end', () => onBody(Buffer.concat(chunks).toString()));
  asked.pipe(inner);
  inner.once('response', (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(answer);
  });
  inner.once('error', () => answer.destroy());
  answer.once('close', () => inner.destroy());
}
