import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ProblemError } from '../core/errors.ts';

/** One file that a Cog server sends while a job runs. */
export interface IncomingFile {
  readonly contentType: string;
  readonly body: IncomingMessage;
  /** As the server told it; undefined where it did not. */
  readonly size: number | undefined;
}

/** What takes the file of one job. */
export interface FileTaker {
  readonly jobId: string;
  /**
   * Takes a file while it comes.
   * @param signal aborts when the job is over
   * @returns the URL under which the Cog server is to put it out
   * @throws ProblemError
   */
  take(file: IncomingFile, signal: AbortSignal): Promise<string>;
}

/** Where one instance's Cog server sends its files. */
export interface FileDoor {
  /** Its `--upload-url`. */
  readonly url: string;
  /** Opens the door to one job's files. Returns a function that shuts it, which drops what is still on its way. */
  open(taker: FileTaker): () => void;
}

/** Listens on 127.0.0.1 for the files that Cog servers send, and takes none but of jobs that run. */
export interface FileReceiver {
  /** @param path of one instance alone; whoever knows it, and the id of a job that runs there, can send that job's file */
  door(path: string): FileDoor;
  close(): Promise<void>;
}

interface OpenDoor {
  readonly taker: FileTaker;
  readonly over: AbortController;
}

/** @param options.port where it listens; any free one where it is 0 */
export async function openFileReceiver({ port = 0 }: { readonly port?: number } = {}): Promise<FileReceiver> {
  const doors = new Map<string, OpenDoor>();
  const server = createServer((request, response) => {
    receive(doors, request, response).catch(() => response.destroy());
  });
  // A server for other people's code: the file itself may take longer, its headers may not.
  server.headersTimeout = 10_000;
  server.requestTimeout = 0;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    door: (path) => ({
      url: `${base}/${path}`,
      open(taker) {
        const open = { taker, over: new AbortController() };
        doors.set(path, open);
        return () => {
          if (doors.get(path) === open) doors.delete(path);
          open.over.abort();
        };
      },
    }),
    close: async () => closeServer(server),
  };
}

async function receive(
  doors: ReadonlyMap<string, OpenDoor>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = (status: number, headers: Record<string, string> = {}) => {
    // What was not read must not be: the rest of a file that is refused would come all the same.
    if (!request.complete) headers.connection = 'close';
    response.writeHead(status, headers).end();
  };
  const { headers, method, url = '' } = request;
  // `--upload-url`, a slash, and the file's own name.
  const door = doors.get(url.slice(1, url.lastIndexOf('/')));
  if (method !== 'PUT' || !door || headers['x-prediction-id'] !== door.taker.jobId) return answer(404);
  const stop = () => request.destroy();
  door.over.signal.addEventListener('abort', stop, { once: true });
  try {
    const length = headers['content-length'];
    const location = await door.taker.take(
      {
        contentType: headers['content-type'] ?? 'application/octet-stream',
        body: request,
        size: length === undefined ? undefined : Number(length),
      },
      door.over.signal,
    );
    answer(200, { location });
  } catch (error) {
    answer(error instanceof ProblemError && error.code === 'payload_too_large' ? 413 : 502);
  } finally {
    door.over.signal.removeEventListener('abort', stop);
  }
}

/**
 * Stores a file at a signed URL while it comes.
 * @returns the store's status
 * @throws ProblemError `payload_too_large` where it has more than `maxBytes`; whatever broke the stream
 */
export async function forward(
  file: IncomingFile,
  url: string,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<number> {
  if ((file.size ?? 0) > maxBytes) throw fileTooLarge(maxBytes);
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  // S3 takes no body without a length.
  const length = file.size === undefined ? {} : { 'content-length': file.size };
  const put = send(url, { method: 'PUT', signal, headers: { 'content-type': file.contentType, ...length } });
  const answered = once(put, 'response') as Promise<[IncomingMessage]>;
  // Whatever happens first is told; what comes after it is of no more use.
  answered.catch(() => {});
  let bytes = 0;
  const measured = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      bytes += chunk.length;
      if (bytes > maxBytes) callback(fileTooLarge(maxBytes));
      else callback(null, chunk);
    },
  });
  await Promise.race([
    pipeline(file.body, measured, put),
    // A store that refuses need not read on.
    answered,
  ]);
  const [response] = await answered;
  response.resume();
  if (response.statusCode !== undefined && response.statusCode >= 300) put.destroy();
  return response.statusCode ?? 0;
}

function fileTooLarge(maxBytes: number): ProblemError {
  const mebibytes = Math.floor(maxBytes / 1024 / 1024);
  return new ProblemError(
    'payload_too_large',
    `The model put out a file of more than ${mebibytes} MiB. ` +
      'Whoever runs this server can allow more: MIMEO_MAX_FILE_MB.',
  );
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
