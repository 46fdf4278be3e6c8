import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, fetch } from 'undici';
import { z } from 'zod';
import { goToolFolder } from './go-tools.ts';

/** A Kubernetes object, as YAML has it. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [property: string]: unknown;
}

/** What the server said of something that it did not do. */
export class KubernetesRefusal extends Error {
  override name = 'KubernetesRefusal';
  /** Of HTTP. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A Kubernetes API server with a store of its own: no controllers, no scheduler, no nodes. */
export interface KubernetesApi {
  /** https://127.0.0.1:… */
  readonly url: string;
  /** PEM of who signed its certificate. */
  readonly authority: string;
  /** A bearer token that may do everything. */
  readonly token: string;
  /** The issuer in tokens of ServiceAccounts. */
  readonly issuer: string;
  /**
   * Server-side apply, one after another.
   * @param options dryRun: checked and defaulted by the server, and not kept. @default false
   * @returns them as the server has them
   * @throws KubernetesRefusal with the server's message
   */
  apply(
    objects: readonly KubernetesObject[],
    options?: { readonly dryRun?: boolean },
  ): Promise<readonly KubernetesObject[]>;
  /**
   * Any request.
   * @param body is sent as JSON
   * @throws KubernetesRefusal for a status of 400 and above
   */
  request(method: string, path: string, body?: unknown, token?: string): Promise<unknown>;
  /** A token of a ServiceAccount by TokenRequest, as the kubelet mounts it. */
  serviceAccountToken(namespace: string, name: string, audience: string): Promise<string>;
  /** Kills the server, not its store, and waits until it serves again; what follows it has to begin anew. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** What speaks to a server that is there. */
type Server = Omit<KubernetesApi, 'stop' | 'restart'>;

const token = 'administrator';
const readyTimeoutMs = 60_000;

/**
 * Starts etcd and kube-apiserver on free ports of loopback, with RBAC and without anonymous access. Takes about 3 s.
 * @throws Error with what they said, where one of them ends
 */
export async function startKubernetesApi(): Promise<KubernetesApi> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-kubernetes-'));
  const processes: Program[] = [];
  const stop = async () => {
    await Promise.all(processes.map((process) => process.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const [clientPort, peerPort, port] = await Promise.all([freePort(), freePort(), freePort()]);
    processes.push(startStore(folder, clientPort, peerPort));
    const url = `https://127.0.0.1:${port}`;
    const args = await serverArguments(folder, clientPort, port, url);
    processes.push(start('kube-apiserver', args));
    const server = await waitUntilReady(url, folder, processes);
    const restart = async () => {
      await processes.pop()?.kill();
      processes.push(start('kube-apiserver', args));
      await waitUntilReady(url, folder, processes);
    };
    return { ...server, restart, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startStore(folder: string, clientPort: number, peerPort: number): Program {
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return start('etcd', [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // What is in it lasts as long as the test.
    '--unsafe-no-fsync',
    '--log-level=error',
  ]);
}

async function serverArguments(
  folder: string,
  store: number,
  port: number,
  issuer: string,
): Promise<readonly string[]> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = join(folder, 'service-accounts.key');
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const tokens = join(folder, 'tokens.csv');
  await writeFile(tokens, `${token},administrator,administrator,system:masters\n`, { mode: 0o600 });
  return [
    `--etcd-servers=http://127.0.0.1:${store}`,
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    `--cert-dir=${join(folder, 'certificates')}`,
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
    `--service-account-issuer=${issuer}`,
    `--service-account-jwks-uri=${issuer}/openid/v1/jwks`,
    `--token-auth-file=${tokens}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.0.0.0/24',
    // No controller makes them, and pods would be refused for the want of one.
    '--disable-admission-plugins=ServiceAccount',
  ];
}

interface Program {
  readonly name: string;
  /** What it said last. */
  readonly said: () => string;
  readonly hasEnded: () => boolean;
  kill(): Promise<void>;
}

function start(name: 'etcd' | 'kube-apiserver', args: readonly string[]): Program {
  const child: ChildProcess = spawn(join(goToolFolder(name), name), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'close').catch(() => undefined);
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said = `${said}${String(chunk)}`.slice(-4000);
  });
  child.on('error', (error) => {
    said = `${said}\n${error.message}`;
  });
  return {
    name,
    said: () => said,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined,
    async kill() {
      child.kill('SIGKILL');
      if (child.pid !== undefined) await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.int() }).parse(server.address());
  server.close();
  await once(server, 'close');
  return port;
}

async function waitUntilReady(url: string, folder: string, processes: readonly Program[]): Promise<Server> {
  const until = Date.now() + readyTimeoutMs;
  for (;;) {
    const dead = processes.find((process) => process.hasEnded());
    if (dead || Date.now() > until) {
      const said = (dead ? [dead] : processes).map((process) => `${process.name}: ${process.said()}`);
      throw new Error(`The Kubernetes API server did not come up:\n${said.join('\n')}`);
    }
    // It signs its own certificate as it starts.
    const authority = await readFile(join(folder, 'certificates/apiserver.crt'), 'utf8').catch(
      () => undefined,
    );
    const server = authority === undefined ? undefined : clientOf(url, authority);
    if (server && (await isReady(server))) return server;
    await new Promise((done) => setTimeout(done, 100));
  }
}

async function isReady(server: Server): Promise<boolean> {
  return await server.request('GET', '/readyz').then(
    // The namespaces that every cluster has come a moment later.
    () =>
      server.request('GET', '/api/v1/namespaces/default').then(
        () => true,
        () => false,
      ),
    () => false,
  );
}

const statusSchema = z.object({ message: z.string() });
const tokenRequestSchema = z.object({ status: z.object({ token: z.string() }) });
const resourcesSchema = z.object({
  resources: z.array(z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean() })),
});

function clientOf(url: string, authority: string): Server {
  const dispatcher = new Agent({ connect: { ca: authority } });
  const send = async (
    method: string,
    path: string,
    body: unknown,
    contentType: string,
    bearer: string,
  ): Promise<unknown> => {
    const response = await fetch(`${url}${path}`, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${bearer}`, 'content-type': contentType },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text;
    const status = statusSchema.safeParse(parse(text));
    throw new KubernetesRefusal(response.status, status.data?.message ?? text);
  };
  const pathOf = async ({ apiVersion, kind, metadata }: KubernetesObject): Promise<string> => {
    const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const { resources } = resourcesSchema.parse(
      await send('GET', group, undefined, 'application/json', token),
    );
    const found = resources.find((resource) => resource.kind === kind && !resource.name.includes('/'));
    if (!found) throw new KubernetesRefusal(404, `the server has no ${kind} of ${apiVersion}`);
    const place = found.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
    return `${group}${place}/${found.name}/${metadata.name}`;
  };
  return {
    url,
    authority,
    token,
    issuer: url,
    async apply(objects, { dryRun = false } = {}) {
      const made: KubernetesObject[] = [];
      const query = `fieldManager=mimeo&fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`;
      for (const object of objects) {
        const path = `${await pathOf(object)}?${query}`;
        // JSON is YAML, which is what this type of content says.
        made.push(
          (await send('PATCH', path, object, 'application/apply-patch+yaml', token)) as KubernetesObject,
        );
      }
      return made;
    },
    request: (method, path, body, bearer = token) => send(method, path, body, 'application/json', bearer),
    async serviceAccountToken(namespace, name, audience) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: [audience], expirationSeconds: 600 },
      };
      return tokenRequestSchema.parse(await send('POST', path, body, 'application/json', token)).status.token;
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
