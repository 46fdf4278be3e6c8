import { onTestFinished, vi } from 'vitest';
import { modelsNamespace, podName, poolName } from '../../services/core/kubernetes-names.ts';
import type { Instance, Pool } from '../../services/core/pool.ts';
import {
  createKubernetesFleet,
  type KubernetesFleet,
  type KubernetesFleetOptions,
  type RunnerReports,
} from '../../services/ports/fleet/kubernetes.ts';
import {
  createKubernetesClient,
  type KubernetesClient,
} from '../../services/ports/fleet/kubernetes-client.ts';
import type { PodSettings } from '../../services/ports/fleet/pod-spec.ts';
import type { SaidByRunner } from '../../services/ports/fleet/pod-state.ts';
import type { KubernetesApi } from '../support/kubernetes-api.ts';

/** As the API server tells it. */
export interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly deletionTimestamp?: string;
    readonly annotations: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly uid: string }[];
    readonly managedFields?: readonly { readonly manager: string; readonly operation: string }[];
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

export const podSettings: PodSettings = {
  url: 'http://api.mimeo-dev.internal:8080',
  runnerImage: `registry.example.com/runner@sha256:${'a'.repeat(64)}`,
  shares: {
    cpu: { cpuMillis: 3500, memoryMib: 13_000, ephemeralMib: 20_000, gpus: 0 },
    'gpu-t4': { cpuMillis: 3500, memoryMib: 13_000, ephemeralMib: 20_000, gpus: 1 },
  },
  setupTimeoutSeconds: 600,
  drainGraceSeconds: 25,
  maxFileMib: 1024,
};

let pools = 0;

/** A pool of which no other test has heard. */
export function somePool(hardware = 'cpu'): Pool {
  const model = `local/m${pools++}`;
  const image = `registry.example.com/model@sha256:${'b'.repeat(64)}`;
  const version = 'c'.repeat(64);
  return {
    id: `${model}:${version}@${hardware}`,
    account: 'local',
    model,
    version,
    hardware,
    concurrency: 1,
    streams: false,
    image,
  };
}

/** What runners said, as a test has them say it. */
export class Said implements RunnerReports {
  readonly orders: { readonly instance: string; readonly graceSeconds: number }[] = [];
  readonly #said = new Map<string, SaidByRunner>();
  readonly #listeners = new Set<() => void>();

  of(instance: string): SaidByRunner | undefined {
    return this.#said.get(instance);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async drain(order: { readonly instance: string; readonly graceSeconds: number }): Promise<void> {
    this.orders.push(order);
  }

  say(instance: string, changes: Partial<SaidByRunner>): void {
    const before = this.#said.get(instance);
    const report: SaidByRunner = {
      phase: 'setup',
      readyAt: null,
      running: 0,
      idleSince: null,
      failure: null,
      setupLogs: '',
      broken: null,
      ...before,
      ...changes,
      receivedAt: Date.now(),
    };
    this.#said.set(instance, report);
    for (const listener of this.#listeners) listener();
  }

  /** It is ready, and idle since that many seconds. */
  ready(instance: string, idleSeconds = 10): void {
    const idleSince = Date.now() - idleSeconds * 1000;
    this.say(instance, { phase: 'ready', readyAt: idleSince, idleSince });
  }
}

/** A cluster's pods of models, and a test that plays its scheduler and its kubelet. */
export class Cluster {
  readonly client: KubernetesClient;

  constructor(client: KubernetesClient) {
    this.client = client;
  }

  /** Pods of a pool as the server has them. */
  async podsOf(pool: Pick<Pool, 'id'>): Promise<readonly PodObject[]> {
    const { items } = (await this.client.request('GET', podsPath)) as {
      readonly items: readonly PodObject[];
    };
    return items.filter(({ metadata }) => metadata.name.startsWith(poolName(pool.id)));
  }

  /** As the scheduler does. */
  async bind(name: string, node = 'node-1'): Promise<void> {
    await this.client.request('POST', `${podsPath}/${name}/binding`, {
      body: {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name },
        target: { apiVersion: 'v1', kind: 'Node', name: node },
      },
    });
  }

  /** As the kubelet does. */
  async setStatus(name: string, status: object): Promise<void> {
    await this.client.request('PATCH', `${podsPath}/${name}/status`, {
      body: { status },
      contentType: 'application/merge-patch+json',
    });
  }

  async run(name: string): Promise<void> {
    await this.bind(name);
    await this.setStatus(name, running);
  }

  /** As the kubelet does once all containers of a pod that is being deleted have ended. */
  async finish(name: string): Promise<void> {
    await this.client.request('DELETE', `${podsPath}/${name}?gracePeriodSeconds=0`);
  }
}

/** A fleet on a real API server, and a test that plays its kubelet and its runners. */
export class PodWorld extends Cluster {
  readonly reports = new Said();
  readonly fleet: KubernetesFleet;

  constructor(
    api: KubernetesApi,
    options: Partial<KubernetesFleetOptions> & { readonly token?: string } = {},
  ) {
    const { url, authority, token } = api;
    super(createKubernetesClient({ url, authority, token }));
    const own = createKubernetesClient({ url, authority, token: options.token ?? token });
    const { reports } = this;
    this.fleet = createKubernetesFleet({ client: own, reports, capacity: 20, pods: podSettings, ...options });
    onTestFinished(async () => {
      await this.fleet.close({ graceMs: 0 });
      await this.client.request('DELETE', `${podsPath}?gracePeriodSeconds=0`);
    });
  }

  async instancesOf(pool: Pool): Promise<readonly Instance[]> {
    return (await this.fleet.observe()).filter((instance) => instance.pool === pool.id);
  }

  async phasesOf(pool: Pool): Promise<readonly string[]> {
    return (await this.instancesOf(pool)).map(({ phase }) => phase).sort();
  }

  async untilPhases(pool: Pool, phases: readonly string[]): Promise<void> {
    await vi.waitFor(async () => {
      const seen = await this.phasesOf(pool);
      if (JSON.stringify(seen) !== JSON.stringify(phases))
        throw new Error(`They are ${seen.join(', ') || 'none'}`);
    }, within);
  }

  /** Asks for instances and brings them up to where they wait for jobs. */
  async serve(pool: Pool, replicas: number): Promise<readonly string[]> {
    await this.fleet.apply(pool, replicas);
    const names = (await this.instancesOf(pool)).map(({ id }) => id);
    for (const name of names) {
      await this.run(name);
      this.reports.ready(name);
    }
    await this.untilPhases(
      pool,
      names.map(() => 'ready'),
    );
    return names;
  }
}

export const podsPath = `/api/v1/namespaces/${modelsNamespace}/pods`;
export const within = { timeout: 20_000, interval: 20 };
const now = new Date().toISOString();
const started = { startedAt: now };

export const running = {
  phase: 'Running',
  initContainerStatuses: [
    { name: 'runner', ready: true, restartCount: 0, image: 'r', imageID: 'r', state: { running: started } },
  ],
  containerStatuses: [
    { name: 'model', ready: true, restartCount: 0, image: 'm', imageID: 'm', state: { running: started } },
  ],
};

/** The name of a pod that somebody else could have made. */
export function strangePod(pool: Pool): string {
  return podName(pool.id, 'deadbeef');
}
