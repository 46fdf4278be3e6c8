import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import {
  KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  ListWatch,
  Watch,
} from '@kubernetes/client-node';
import { z } from 'zod';

/** What the API server said of something that it did not do. */
export class KubernetesError extends Error {
  override name = 'KubernetesError';
  /** Of HTTP. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Where the API server is, and who we are there; as in a kubeconfig file. */
export interface ServerAccess {
  readonly url: string;
  /** PEM of who signed its certificate. */
  readonly authority: string;
  readonly token: string;
}

/** What is watched. */
export interface Watched {
  /** Such as `/api/v1/namespaces/mimeo-models/pods`. */
  readonly path: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** An object that is new or has changed, as the server tells it. */
  set(object: unknown): void;
  remove(object: unknown): void;
  /** All that there is has been told, after a start and whenever the watch had to begin anew. */
  listed(objects: readonly unknown[], begunAt: number): void;
  /** The watch was lost; it begins anew by itself. */
  lost(error: unknown): void;
}

/** The thin edge to one API server. */
export interface KubernetesClient {
  /**
   * @param call query: such as `fieldManager=…`. @default contentType application/json
   * @throws KubernetesError; other errors where there was no answer
   */
  request(
    method: string,
    path: string,
    call?: { readonly body?: unknown; readonly contentType?: ContentType; readonly signal?: AbortSignal },
  ): Promise<unknown>;
  /** Lists and then follows what there is. Returns a function that stops it. */
  watch(watched: Watched): () => void;
}

type ContentType = 'application/json' | 'application/apply-patch+yaml' | 'application/merge-patch+json';

/** An answer that takes longer than this will not come. */
const answerMs = 15_000;
const firstRetryMs = 200;
const longestRetryMs = 10_000;

const statusSchema = z.object({ message: z.string() });

/** @param access default: what KUBECONFIG or ~/.kube/config says, or the ServiceAccount of the pod that this runs in */
export function createKubernetesClient(access?: ServerAccess): KubernetesClient {
  const config = new KubeConfig();
  if (access) loadAccess(config, access);
  else config.loadFromDefault();
  let agent: Agent | undefined;
  const send: KubernetesClient['request'] = async (method, path, call = {}) => {
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    // Its own agents make a connection for each call.
    agent ??= new Agent({ keepAlive: true, ca: options.ca, cert: options.cert, key: options.key });
    return await sendRequest(config, { ...options, agent }, method, path, call);
  };
  return {
    request: send,
    watch: (watched) => follow(config, send, watched),
  };
}

function loadAccess(config: KubeConfig, { url, authority, token }: ServerAccess): void {
  const caData = Buffer.from(authority).toString('base64');
  config.loadFromOptions({
    clusters: [{ name: 'cluster', server: url, caData }],
    users: [{ name: 'user', token }],
    contexts: [{ name: 'context', cluster: 'cluster', user: 'user' }],
    currentContext: 'context',
  });
}

async function sendRequest(
  config: KubeConfig,
  options: RequestOptions,
  method: string,
  path: string,
  call: NonNullable<Parameters<KubernetesClient['request']>[2]>,
): Promise<unknown> {
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) throw new Error('No cluster is configured: set KUBECONFIG');
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const limit = AbortSignal.timeout(answerMs);
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const request = httpsRequest(
      `${server}${path}`,
      {
        ...options,
        method,
        signal: call.signal ? AbortSignal.any([call.signal, limit]) : limit,
        headers: {
          ...options.headers,
          accept: 'application/json',
          ...(body === undefined
            ? {}
            : {
                'content-type': call.contentType ?? 'application/json',
                // Node leaves it out for a DELETE, whose body would then be taken for the next request.
                'content-length': Buffer.byteLength(body),
              }),
        },
      },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
  const parsed = parse(text);
  if (status >= 200 && status < 300) return parsed;
  const said = statusSchema.safeParse(parsed);
  throw new KubernetesError(
    status,
    said.success ? said.data.message : `HTTP ${status}: ${text.slice(0, 500)}`,
  );
}

function follow(config: KubeConfig, send: KubernetesClient['request'], watched: Watched): () => void {
  const { path, labelSelector, fieldSelector } = watched;
  const query = new URLSearchParams({
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  });
  const watch = new Watch(config);
  let failures = 0;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  const list = async () => {
    const begunAt = performance.now();
    const answer = (await send('GET', `${path}?${query}`)) as KubernetesListObject<KubernetesObject>;
    failures = 0;
    // The informer takes the list up in the microtasks that follow.
    setImmediate(() => closed || watched.listed(answer.items, begunAt));
    return answer;
  };
  const informer = new ListWatch(path, watch, list, false, labelSelector, fieldSelector);
  const start = () => {
    if (!closed) informer.start().catch(again);
  };
  const again = (error: unknown) => {
    if (closed) return;
    watched.lost(error);
    clearTimeout(timer);
    timer = setTimeout(start, Math.min(firstRetryMs * 2 ** failures, longestRetryMs));
    failures = Math.min(failures + 1, 10);
  };
  // A watch that was taken up where it broke lists nothing.
  const told = (tell: (object: unknown) => void) => (object: unknown) => {
    failures = 0;
    tell(object);
  };
  informer.on('add', told(watched.set));
  informer.on('update', told(watched.set));
  informer.on('delete', told(watched.remove));
  informer.on('error', again);
  start();
  return () => {
    closed = true;
    clearTimeout(timer);
    void informer.stop();
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
