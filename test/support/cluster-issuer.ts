import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { onTestFinished } from 'vitest';

/** Whoever signs the tokens of a cluster's ServiceAccounts. */
export interface ClusterIssuer {
  readonly issuer: string;
  /** A token as Kubernetes gives it to a pod of the models' namespace, for an hour. */
  runnerToken(pod: string): Promise<string>;
}

/** An issuer with a key of its own, until the test ends. */
export async function startClusterIssuer(): Promise<ClusterIssuer> {
  const keys = await generateKeyPair('RS256');
  const key = { ...(await exportJWK(keys.publicKey)), kid: 'first', alg: 'RS256', use: 'sig' };
  const server = createServer((request, response) => {
    const document = { issuer, jwks_uri: `${issuer}/keys` };
    response.end(JSON.stringify(request.url === '/keys' ? { keys: [key] } : document));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    runnerToken: async (pod) =>
      await new SignJWT({ 'kubernetes.io': { namespace: 'mimeo-models', pod: { name: pod, uid: 'u' } } })
        .setProtectedHeader({ alg: 'RS256', kid: 'first' })
        .setIssuer(issuer)
        .setAudience('mimeo')
        .setSubject('system:serviceaccount:mimeo-models:runner')
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(keys.privateKey),
  };
}
