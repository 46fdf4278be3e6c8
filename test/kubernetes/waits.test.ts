import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import { serveApi } from '../../services/api/server.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import { createKubernetesClient } from '../../services/ports/fleet/kubernetes-client.ts';
import { createHttpFleetProtocol } from '../../services/ports/fleet-protocol/http.ts';
import type { InstanceReport } from '../../services/ports/fleet-protocol/port.ts';
import { openApi } from '../support/api.ts';
import { type KubernetesApi, startKubernetesApi } from '../support/kubernetes-api.ts';
import { type ServiceProcess, startService } from '../support/service-process.ts';
import { Cluster, podSettings, running } from './pod-world.ts';
import { stackObjects } from './stack-objects.ts';

let kubernetes: KubernetesApi;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mimeo-directors-'));
  const objects = await stackObjects({ tiers: { cpu: { max: 5 } } });
  kubernetes = await startKubernetesApi();
  await kubernetes.apply(objects);
});
afterAll(async () => {
  await kubernetes?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** As a file that `kubectl` would take; JSON is YAML. */
async function kubeconfig(): Promise<string> {
  const { url, authority, issuer } = kubernetes;
  const token = await kubernetes.serviceAccountToken('mimeo', 'director', issuer);
  const data = Buffer.from(authority).toString('base64');
  const file = join(folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: url, 'certificate-authority-data': data } }],
    users: [{ name: 'u', user: { token } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

const waitingSchema = z.object({ status: z.string(), waiting: z.object({ phase: z.string() }).nullish() });
const ready: InstanceReport = {
  instance: '',
  phase: 'ready',
  readyAt: Date.now(),
  running: 0,
  idleSince: null,
  failure: null,
  setupLogs: '',
  broken: null,
};

it('of two directors one brings an instance up, and when it is killed the other goes on where it was', async () => {
  const test = await openApi(undefined, { now: Date.now });
  const server = await serveApi(test.api, {
    host: '127.0.0.1',
    port: 0,
    idleTimeoutSeconds: 5,
    drainSeconds: 1,
    deregistrationSeconds: 0,
  });
  const url = `http://127.0.0.1:${server.port}`;
  const directors: ServiceProcess[] = [];
  onTestFinished(async () => {
    await Promise.all(directors.map((one) => one.kill()));
    await server.drain();
    await test.close();
  });
  const { fleetTokens } = test.api;
  const env = {
    KUBECONFIG: await kubeconfig(),
    MIMEO_URL: url,
    MIMEO_DIRECTOR_TOKEN: fleetTokens.mint({ role: 'director' }, 3600),
    MIMEO_FLEET: 'kubernetes',
    MIMEO_RUNNER_IMAGE: podSettings.runnerImage,
    MIMEO_MACHINES: JSON.stringify(podSettings.shares),
    MIMEO_MAX_INSTANCES: '3',
    MIMEO_IDLE_SECONDS: '1',
  };
  const path = 'services/director/main.ts';
  const one = await startService(path, env, 'the director is ready');
  const two = await startService(path, env, 'waiting until no other director leads');
  directors.push(one, two);
  const version = await test.addModel(
    { name: 'echo' },
    { image: `registry.example.com/echo@sha256:${'0'.repeat(64)}` },
  );
  const pool = { id: sharedPoolId({ model: 'local/echo', version: version.id, hardware: 'cpu' }) };
  const cluster = new Cluster(createKubernetesClient(kubernetes));
  const patience = { timeout: 40_000, interval: 50 };

  const created = await test.call('POST', '/v1/models/local/echo/predictions', { input: { text: 'x' } });
  const { id } = z.object({ id: z.string() }).parse(await created.json());
  const waits = async (phase: string) =>
    vi.waitFor(async () => {
      const prediction = waitingSchema.parse(await (await test.call('GET', `/v1/predictions/${id}`)).json());
      expect(prediction).toMatchObject({ status: 'starting', waiting: { phase } });
    }, patience);

  await waits('node');
  const [pod] = await cluster.podsOf(pool);
  const name = pod?.metadata.name ?? '';
  await cluster.bind(name);
  await waits('image');
  await cluster.setStatus(name, running);
  await waits('setup');
  const runnerToken = fleetTokens.mint({ role: 'runner', pool: pool.id, pod: name }, 3600);
  const runner = createHttpFleetProtocol({ url, token: runnerToken });
  await runner.reportInstance({ ...ready, instance: name });
  await waits('queued');
  expect(two.said()).not.toContain('the director is ready');

  await one.kill();
  // Nobody wants it any more, which only the next director finds out.
  await test.call('POST', `/v1/predictions/${id}/cancel`);
  await runner.reportInstance({ ...ready, instance: name, idleSince: Date.now() - 10_000 });

  await vi.waitFor(async () => {
    const order = await runner.watch({ instance: name, waitSeconds: 5 });
    expect(order.drain?.graceSeconds).toBeGreaterThan(3600);
  }, patience);
  expect(two.said()).toContain('the director is ready');
  expect(await cluster.podsOf(pool)).toHaveLength(1);
  await runner.reportInstance({ ...ready, instance: name, phase: 'drained' });
  await vi.waitFor(async () => {
    expect((await cluster.podsOf(pool))[0]?.metadata.deletionTimestamp).toBeDefined();
  }, patience);
  expect(await two.stop()).toBe(0);
});
