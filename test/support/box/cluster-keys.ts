import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands where a cluster publishes the keys that its ServiceAccounts' tokens are signed by. */
export interface ClusterKeys {
  readonly issuer: string;
  /** A token as the cluster projects it into a pod. */
  token(serviceAccount: string, audience: string): string;
  close(): Promise<void>;
}

/** Serves OpenID Connect's discovery for a key of its own. https://openid.net/specs/openid-connect-discovery-1_0.html */
export async function startClusterKeys(): Promise<ClusterKeys> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = 'box';
  let issuer = '';
  const server = createServer(({ url }, response) => {
    const keys = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] };
    const about = { issuer, jwks_uri: `${issuer}/keys`, id_token_signing_alg_values_supported: ['RS256'] };
    const body = url === '/keys' ? keys : url === '/.well-known/openid-configuration' ? about : undefined;
    response
      .writeHead(body ? 200 : 404, { 'content-type': 'application/json' })
      .end(JSON.stringify(body ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    token(serviceAccount, audience) {
      const now = Math.floor(Date.now() / 1000);
      const claims = {
        iss: issuer,
        aud: [audience],
        sub: `system:serviceaccount:${serviceAccount}`,
        iat: now,
        nbf: now,
        exp: now + 3600,
      };
      const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const body = `${encode({ alg: 'RS256', kid, typ: 'JWT' })}.${encode(claims)}`;
      return `${body}.${sign('RSA-SHA256', Buffer.from(body), privateKey).toString('base64url')}`;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
