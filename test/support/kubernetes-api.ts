import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { Agent, fetch } from 'undici';
import { z } from 'zod';
import { freePort, type Program, startProgram } from './kubernetes-programs.ts';

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

/** A change that a watch tells of. */
export interface KubernetesChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubernetesObject;
}

/** Requests of a Kubernetes API server. */
interface KubernetesClient {
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
   * @param body is sent as JSON; of PATCH, it is a strategic merge patch
   * @throws KubernetesRefusal for a status of 400 and above
   */
  request(method: string, path: string, body?: unknown, token?: string): Promise<unknown>;
  /**
   * A token of a ServiceAccount by TokenRequest, as the kubelet mounts it.
   * @param pod whose it is alone, and ends with
   */
  serviceAccountToken(
    namespace: string,
    name: string,
    audience: string,
    pod?: { readonly name: string; readonly uid: string },
  ): Promise<string>;
  /**
   * Changes from now on of what `path` lists, until the server ends the watch, as it does from time to time, or `signal`
   * aborts.
   * @param path of a list, with the query that narrows it and `resourceVersion`
   */
  watch(path: string, signal: AbortSignal): AsyncIterable<KubernetesChange>;
}

/** A Kubernetes API server with a store of its own: no controllers, no scheduler, no nodes. */
export interface KubernetesApi extends KubernetesClient {
  /** The public key that its tokens are signed with, as a JSON Web Key Set. */
  readonly keys: { readonly keys: readonly object[] };
  /** Ends the server, not its store, and starts it again at the same address. */
  restart(whileDown?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

export interface KubernetesApiOptions {
  /**
   * Whether every pod has a ServiceAccount, which then must be there. @default false: no controller makes them, and pods
   * would be refused for the want of one
   */
  readonly serviceAccounts?: boolean;
  /** Who signs tokens of ServiceAccounts, as they say. @default the server */
  readonly issuer?: string;
}

const token = 'administrator';
const readyTimeoutMs = 60_000;

/**
 * Starts etcd and kube-apiserver on free ports of loopback, with RBAC and without anonymous access. Takes about 3 s.
 * @throws Error with what they said, where one of them ends
 */
export async function startKubernetesApi(options: KubernetesApiOptions = {}): Promise<KubernetesApi> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-kubernetes-'));
  const processes: Program[] = [];
  const stop = async () => {
    await Promise.all(processes.map((process) => process.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const [clientPort, peerPort, port] = await Promise.all([freePort(), freePort(), freePort()]);
    const store = startStore(folder, clientPort, peerPort);
    const issuer = options.issuer ?? `https://127.0.0.1:${port}`;
    const keys = await writeSecrets(folder);
    const startServer = () => {
      const server = startProgram(
        'kube-apiserver',
        serverArguments(folder, clientPort, port, issuer, options),
      );
      processes.splice(0, processes.length, store, server);
      return waitUntilReady(`https://127.0.0.1:${port}`, issuer, folder, processes);
    };
    const client = await startServer();
    return {
      ...client,
      keys,
      async restart(whileDown) {
        await processes[1]?.kill();
        await whileDown?.();
        await startServer();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startStore(folder: string, clientPort: number, peerPort: number): Program {
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return startProgram('etcd', [
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

/** Writes what the server signs tokens with, and whom it lets in. @returns the public key */
async function writeSecrets(folder: string): Promise<KubernetesApi['keys']> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const options = { mode: 0o600 };
  await writeFile(
    join(folder, 'service-accounts.key'),
    privateKey.export({ type: 'pkcs8', format: 'pem' }),
    options,
  );
  await writeFile(
    join(folder, 'tokens.csv'),
    `${token},administrator,administrator,system:masters\n`,
    options,
  );
  const key = createPublicKey(privateKey);
  // The id that Kubernetes gives it.
  const kid = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
  return { keys: [{ ...key.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] };
}

function serverArguments(
  folder: string,
  store: number,
  port: number,
  issuer: string,
  { serviceAccounts = false }: KubernetesApiOptions,
): readonly string[] {
  const key = join(folder, 'service-accounts.key');
  return [
    `--etcd-servers=http://127.0.0.1:${store}`,
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    `--cert-dir=${join(folder, 'certificates')}`,
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
    `--service-account-issuer=${issuer}`,
    `--service-account-jwks-uri=https://127.0.0.1:${port}/openid/v1/jwks`,
    // Tokens for the server itself.
    `--api-audiences=https://127.0.0.1:${port}`,
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.0.0.0/24',
    ...(serviceAccounts ? [] : ['--disable-admission-plugins=ServiceAccount']),
  ];
}

async function waitUntilReady(
  url: string,
  issuer: string,
  folder: string,
  processes: readonly Program[],
): Promise<KubernetesClient> {
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
    const server = authority === undefined ? undefined : clientOf(url, issuer, authority);
    if (server && (await isReady(server))) return server;
    await new Promise((done) => setTimeout(done, 100));
  }
}

async function isReady(server: KubernetesClient): Promise<boolean> {
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

function clientOf(url: string, issuer: string, authority: string): KubernetesClient {
  const dispatcher = new Agent({ connect: { ca: authority } });
  // Nothing may come for as long as nothing changes.
  const watches = new Agent({ connect: { ca: authority }, bodyTimeout: 0 });
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
    issuer,
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
    request: (method, path, body, bearer = token) => {
      const contentType = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json';
      return send(method, path, body, contentType, bearer);
    },
    async serviceAccountToken(namespace, name, audience, pod) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
      const boundObjectRef = pod && { apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid };
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: [audience], expirationSeconds: 600, boundObjectRef },
      };
      return tokenRequestSchema.parse(await send('POST', path, body, 'application/json', token)).status.token;
    },
    async *watch(path, signal) {
      const response = await fetch(`${url}${path}${path.includes('?') ? '&' : '?'}watch=true`, {
        dispatcher: watches,
        signal,
        headers: { authorization: `Bearer ${token}` },
      });
      if (!response.ok || !response.body) throw new KubernetesRefusal(response.status, await response.text());
      for await (const line of createInterface({ input: Readable.fromWeb(response.body as never) })) {
        if (line !== '') yield JSON.parse(line) as KubernetesChange;
      }
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
