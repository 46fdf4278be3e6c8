import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const oci = 'application/vnd.oci.image';
const docker = 'application/vnd.docker';

/** What an image is made of, where it differs from one of linux/amd64 without labels. */
export interface ImageParts {
  readonly labels?: Readonly<Record<string, string>>;
  /** @default linux/amd64 */
  readonly platform?: string;
  /** `docker`: schema 2. @default oci */
  readonly form?: 'oci' | 'docker';
  /** Of the manifest, put over what it would be. */
  readonly manifest?: Readonly<Record<string, unknown>>;
}

/** A descriptor of an index, where it differs from an OCI image's. */
export interface Listed {
  readonly digest: string;
  readonly platform?: { readonly os: string; readonly architecture: string };
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A container registry for tests: the HTTP API that images are read by, with a login, and blobs on another host. */
export interface TestRegistry {
  readonly url: string;
  readonly host: string;
  readonly login: { readonly username: string; readonly password: string };
  /** Every request, `METHOD path`. */
  readonly requests: string[];
  /** Stores bytes as a manifest and gives their digest. */
  putManifest(repository: string, manifest: object | string): string;
  /** Stores an image with its config and gives the manifest's digest. */
  putImage(repository: string, parts?: ImageParts): string;
  /** Stores an index of manifests, each with further members of its descriptor, and gives its digest. */
  putIndex(repository: string, manifests: readonly Listed[], form?: string): string;
  /** From now on these bytes are sent for what has this digest. */
  replace(digest: string, bytes: string): void;
  close(): Promise<void>;
}

/** Starts an empty registry, whose login is that of ECR: `AWS` and a password. */
export async function startRegistry(password = 'a password of the test'): Promise<TestRegistry> {
  const login = { username: 'AWS', password };
  const authorization = `Basic ${Buffer.from(`AWS:${password}`).toString('base64')}`;
  const manifests = new Map<string, string>();
  const blobs = new Map<string, string>();
  const requests: string[] = [];

  // As ECR does with S3: who sends an authorization to the store is refused.
  const store = await listen((request, response) => {
    const digest = request.url?.slice(1) ?? '';
    const bytes = blobs.get(digest);
    if (request.headers.authorization) response.writeHead(400).end('only one way of authorization');
    else if (bytes === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(bytes);
  });
  const registry = await listen((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    if (request.headers.authorization !== authorization) return void response.writeHead(401).end();
    const [, repository, kind, digest = ''] =
      /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(request.url ?? '') ?? [];
    if (kind === 'blobs')
      return void response
        .writeHead(307, { location: `${store.url.replace('127.0.0.1', 'localhost')}/${digest}` })
        .end();
    const manifest = manifests.get(`${repository}@${digest}`);
    if (manifest === undefined) return void response.writeHead(404).end();
    const { mediaType } = JSON.parse(manifest) as { mediaType?: string };
    const isWanted = request.headers.accept?.includes(mediaType ?? '');
    response.writeHead(isWanted ? 200 : 406, { 'content-type': mediaType }).end(manifest);
  });

  const putManifest = (repository: string, manifest: object | string) => {
    const text = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
    const digest = digestOf(text);
    manifests.set(`${repository}@${digest}`, text);
    return digest;
  };
  return {
    url: registry.url,
    host: new URL(registry.url).host,
    login,
    requests,
    putManifest,
    putImage(repository, { labels, platform = 'linux/amd64', form = 'oci', manifest = {} } = {}) {
      const [os, architecture] = platform.split('/');
      const config = JSON.stringify({
        os,
        architecture,
        config: { Labels: labels },
        rootfs: { type: 'layers' },
      });
      const digest = digestOf(config);
      blobs.set(digest, config);
      const configType = form === 'oci' ? `${oci}.config.v1+json` : `${docker}.container.image.v1+json`;
      const layerType = form === 'oci' ? `${oci}.layer.v1.tar+gzip` : `${docker}.image.rootfs.diff.tar.gzip`;
      return putManifest(repository, {
        schemaVersion: 2,
        mediaType: form === 'oci' ? `${oci}.manifest.v1+json` : `${docker}.distribution.manifest.v2+json`,
        config: { mediaType: configType, digest, size: config.length },
        layers: [{ mediaType: layerType, digest: digestOf('layer'), size: 5 }],
        ...manifest,
      });
    },
    putIndex(repository, listed, mediaType = `${oci}.index.v1+json`) {
      const descriptors = listed.map((one) => ({ mediaType: `${oci}.manifest.v1+json`, size: 1, ...one }));
      return putManifest(repository, { schemaVersion: 2, mediaType, manifests: descriptors });
    },
    replace(digest, bytes) {
      if (blobs.has(digest)) blobs.set(digest, bytes);
      for (const key of manifests.keys()) if (key.endsWith(`@${digest}`)) manifests.set(key, bytes);
    },
    async close() {
      await Promise.all([registry.close(), store.close()]);
    },
  };
}

/** Of a manifest or a blob, as registries name it. */
export function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void) {
  const server: Server = createServer(handler);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
