import { createHash } from 'node:crypto';
import type { LogIn, RegistryLogin } from '../ports/registry/port.ts';
import { ImageRefusal, manifestMediaTypes, maxConfigBytes, maxManifestBytes } from './image.ts';

/** Longest wait for one answer of the registry, its body included. */
const timeoutMs = 15_000;

/** A container registry, as far as an image's own description goes. */
export interface Registry {
  /** `HOST/REPOSITORY@DIGEST`: what a container is started from. */
  reference(repository: string, digest: string): Promise<string>;
  /** @throws ImageRefusal where it is too large; Error where it cannot be read now */
  manifest(repository: string, digest: string): Promise<Buffer>;
  /** @throws ImageRefusal where it is too large; Error where it cannot be read now */
  config(repository: string, digest: string): Promise<Buffer>;
}

/**
 * A registry by its HTTP API (https://distribution.github.io/distribution/spec/api/). What it sends is held against the
 * digest that was asked for.
 */
export function openRegistry(logIn: LogIn): Registry {
  async function read(path: string, digest: string, accept: string, maxBytes: number): Promise<Buffer> {
    const login = await logIn();
    let response = await ask(login, path, accept);
    if (response.status === 401 || response.status === 403) {
      await response.body?.cancel();
      // A login that was kept may be good no more; one that is new and refused too says that we may not.
      response = await ask(await logIn(login), path, accept);
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`The registry answered ${response.status} for ${path}`);
    }
    const bytes = await readAtMost(response, maxBytes);
    if (bytes === undefined)
      throw new ImageRefusal(
        `Its description has more than ${maxBytes} bytes. Give it fewer layers and labels.`,
      );
    const actual = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    if (actual !== digest) throw new Error(`The registry sent ${actual} for ${path}`);
    return bytes;
  }

  return {
    async reference(repository, digest) {
      return `${new URL((await logIn()).url).host}/${repository}@${digest}`;
    },
    manifest: (repository, digest) =>
      read(`${repository}/manifests/${digest}`, digest, manifestMediaTypes.join(', '), maxManifestBytes),
    config: (repository, digest) =>
      read(`${repository}/blobs/${digest}`, digest, 'application/octet-stream', maxConfigBytes),
  };
}

/** ECR sends on to S3 for a blob; fetch leaves the authorization behind where the host changes. */
async function ask(login: RegistryLogin, path: string, accept: string): Promise<Response> {
  const { url, username, password } = login;
  const token = Buffer.from(`${username}:${password}`).toString('base64');
  return await fetch(`${url}/v2/${path}`, {
    headers: { authorization: `Basic ${token}`, accept },
    signal: AbortSignal.timeout(timeoutMs),
  });
}

/** @returns undefined where there is more */
async function readAtMost(response: Response, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
