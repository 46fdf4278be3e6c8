import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { Pool } from '../../services/core/pool.ts';
import {
  createKubernetesClient,
  type KubernetesClient,
} from '../../services/ports/fleet/kubernetes-client.ts';
import { createPrePuller, type PrePuller, podOfPull } from '../../services/ports/fleet/pre-puller.ts';
import { type KubernetesApi, startKubernetesApi } from '../support/kubernetes-api.ts';
import { Cluster, podsPath, somePool, within } from './pod-world.ts';
import { stackObjects } from './stack-objects.ts';

const sku = 'gpu-t4';
let api: KubernetesApi;
let cluster: Cluster;
let director: KubernetesClient;
let puller: PrePuller;
let now: number;

beforeAll(async () => {
  const objects = await stackObjects({ tiers: { [sku]: { max: 2 } } });
  api = await startKubernetesApi();
  await api.apply(objects);
  // As it is in a cluster: it may do what the stack lets the director do, and no more.
  const token = await api.serviceAccountToken('mimeo', 'director', api.issuer);
  director = createKubernetesClient({ ...api, token });
  cluster = new Cluster(createKubernetesClient(api));
});
afterAll(async () => api?.stop());

beforeEach(() => {
  now = Date.now();
  puller = createPrePuller({ client: director, mayAct: () => true, now: () => now });
});
afterEach(async () => {
  puller.close();
  for (const name of await pulls()) await api.request('DELETE', `${podsPath}/${name}?gracePeriodSeconds=0`);
  await vi.waitFor(async () => expect(await pulls()).toEqual([]), within);
  for (const name of ['a', 'b']) await api.request('DELETE', `/api/v1/nodes/${name}`).catch(() => undefined);
});

/** A machine that is ready, with those images on its disk. */
async function addNode(name: string, images: readonly string[] = []): Promise<void> {
  const labels = { 'mimeo.dev/sku': sku, 'kubernetes.io/hostname': name };
  await api.apply([{ apiVersion: 'v1', kind: 'Node', metadata: { name, labels } as never }]);
  const conditions = [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: '' }];
  await api.request('PUT', `/api/v1/nodes/${name}/status`, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    status: { conditions, images: images.map((image) => ({ names: [image], sizeBytes: 1 })) },
  });
}

async function pulls(): Promise<string[]> {
  const { items } = (await api.request('GET', podsPath)) as { items: { metadata: { name: string } }[] };
  return items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('pull-'));
}

const pullOf = ({ image = '' }: Pool, node: string) => podOfPull({ node, sku, image }).metadata.name;

function hotPool(digit: string): Pool {
  return { ...somePool(sku), image: `registry.example.com/hot@sha256:${digit.repeat(64)}` };
}

it('has each machine pull what was used last and is not on its disk, one after the other', async () => {
  const [first, second] = [hotPool('1'), hotPool('2')];
  await addNode('a');
  await addNode('b', [first.image ?? '']);

  puller.prepare([first, second]);

  const wanted = [pullOf(first, 'a'), pullOf(second, 'b')];
  await vi.waitFor(async () => expect((await pulls()).sort()).toEqual(wanted.sort()), within);
  // The kubelet of a has it; what was run from it may well have failed.
  await cluster.setStatus(pullOf(first, 'a'), {
    phase: 'Failed',
    containerStatuses: [
      {
        name: 'pull',
        image: first.image,
        imageID: first.image,
        ready: false,
        restartCount: 0,
        state: { terminated: { exitCode: 128, reason: 'StartError' } },
      },
    ],
  });
  const next = [pullOf(second, 'a'), pullOf(second, 'b')];
  await vi.waitFor(async () => expect((await pulls()).sort()).toEqual(next.sort()), within);
});

it('gives up what cannot be pulled, for ten minutes, and goes on to the next', async () => {
  const [absent, second] = [hotPool('3'), hotPool('4')];
  await addNode('a');
  puller.prepare([absent, second]);
  await vi.waitFor(async () => expect(await pulls()).toEqual([pullOf(absent, 'a')]), within);

  await cluster.setStatus(pullOf(absent, 'a'), {
    phase: 'Pending',
    containerStatuses: [
      {
        name: 'pull',
        image: absent.image,
        imageID: '',
        ready: false,
        restartCount: 0,
        state: { waiting: { reason: 'ImagePullBackOff' } },
      },
    ],
  });

  await vi.waitFor(async () => expect(await pulls()).toEqual([pullOf(second, 'a')]), within);
  now += 600_001;
  await api.request('DELETE', `${podsPath}/${pullOf(second, 'a')}?gracePeriodSeconds=0`);
  await vi.waitFor(async () => expect(await pulls()).toEqual([pullOf(absent, 'a')]), within);
});

it('leaves machines alone that are not ready, and all of them where another director leads', async () => {
  const pool = hotPool('5');
  await addNode('a');
  const idle = createPrePuller({ client: director, mayAct: () => false });
  idle.prepare([pool]);
  const other = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'b', labels: { 'mimeo.dev/sku': sku } } };
  await api.apply([other]);

  puller.prepare([pool]);

  await vi.waitFor(async () => expect(await pulls()).toEqual([pullOf(pool, 'a')]), within);
  idle.close();
});
