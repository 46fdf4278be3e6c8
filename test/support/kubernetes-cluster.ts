import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { type KubernetesApi, startKubernetesApi } from './kubernetes-api.ts';
import { freePort, type Program, startProgram } from './kubernetes-programs.ts';

/** A Kubernetes control plane whole: what is asked for is placed and cleared away. Machines are the tests' concern. */
export interface KubernetesCluster extends KubernetesApi {
  /** The path of a new kubeconfig file of whoever this bearer token is of. */
  kubeconfig(token: string): Promise<string>;
}

/** What a cluster of models needs; the others would cost each test their share of the machine. */
const controllers = [
  'garbage-collector-controller',
  'namespace-controller',
  'node-lifecycle-controller',
  'pod-garbage-collector-controller',
  'resourcequota-controller',
  'serviceaccount-controller',
  'taint-eviction-controller',
];

/**
 * Starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler on loopback. As on EKS, the public keys of the
 * tokens that it signs are published at another address than the API server's, to anybody; here over plain HTTP, which
 * the api takes from its own machine.
 * @throws Error with what they said, where one of them ends
 */
export async function startKubernetesCluster(): Promise<KubernetesCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-cluster-'));
  const issuer = await startIssuer();
  const programs: Program[] = [];
  const api = await startKubernetesApi({ serviceAccounts: true, issuer: issuer.url }).catch(async (error) => {
    await issuer.stop();
    throw error;
  });
  issuer.publish(api.keys);
  let files = 0;
  const kubeconfig = async (token: string) => {
    const path = join(folder, `kubeconfig-${files++}`);
    await writeFile(path, kubeconfigOf(api, token), { mode: 0o600 });
    return path;
  };
  const common = [`--kubeconfig=${await kubeconfig(api.token)}`, '--leader-elect=false'];
  const [managerPort, schedulerPort] = await Promise.all([freePort(), freePort()]);
  programs.push(
    startProgram('kube-controller-manager', [
      ...common,
      `--controllers=${controllers.join()}`,
      // A machine that is not heard of for this long is taken for gone; on EKS it takes 40 s.
      '--node-monitor-grace-period=6s',
      '--node-monitor-period=1s',
      '--bind-address=127.0.0.1',
      `--secure-port=${managerPort}`,
    ]),
    startProgram('kube-scheduler', [...common, '--bind-address=127.0.0.1', `--secure-port=${schedulerPort}`]),
  );
  const stop = async () => {
    await Promise.all(programs.map((program) => program.kill()));
    await Promise.all([api.stop(), issuer.stop()]);
    await rm(folder, { recursive: true, force: true });
  };
  return { ...api, kubeconfig, stop };
}

/** Publishes the keys of a cluster, as OpenID Connect Discovery 1.0 has it. */
async function startIssuer() {
  let keys: KubernetesApi['keys'] = { keys: [] };
  let url = '';
  const server = createServer((request, response) => {
    const documents: Readonly<Record<string, object>> = {
      '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/keys` },
      '/keys': keys,
    };
    const found = documents[request.url ?? ''];
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.int() }).parse(server.address());
  url = `http://127.0.0.1:${port}`;
  return {
    url,
    publish(published: KubernetesApi['keys']) {
      keys = published;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** JSON is YAML. */
function kubeconfigOf({ url, authority }: KubernetesApi, token: string): string {
  const name = 'test';
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      {
        name,
        cluster: { server: url, 'certificate-authority-data': Buffer.from(authority).toString('base64') },
      },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  });
}
