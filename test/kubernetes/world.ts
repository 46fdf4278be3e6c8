import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createAdaptorServer } from '@hono/node-server';
import { pino } from 'pino';
import { afterEach, expect, vi } from 'vitest';
import { z } from 'zod';
import {
  directorAccount,
  modelsNamespace,
  poolName,
  systemNamespace,
  tokenAudience,
} from '../../services/core/kubernetes-names.ts';
import { type Pool, sharedPoolId } from '../../services/core/pool.ts';
import type { UsageRecord } from '../../services/core/usage.ts';
import { Usage } from '../../services/data/usage.ts';
import { createMetering } from '../../services/metering/app.ts';
import { Sweeper } from '../../services/sweeper/app.ts';
import { configOf, recordCapacity } from '../infra/components/capacity.ts';
import { openApi, schemaWith, type TestApi } from '../support/api.ts';
import type { ContainerImage } from '../support/container-process.ts';
import type { KubernetesObject } from '../support/kubernetes-api.ts';
import { type KubernetesCluster, startKubernetesCluster } from '../support/kubernetes-cluster.ts';
import { Images, NodeAgent, type NodeAgentOptions, runnerImage } from '../support/node-agent.ts';
import { type ServiceProcess, startService } from '../support/service-process.ts';

/** Of the runner, by which pods name it. */
export const runnerReference = `registry.example.com/runner@sha256:${'e'.repeat(64)}`;

/** A model that has a version with an image. */
export interface WorldModel {
  readonly version: string;
  readonly image: string;
  readonly pool: Pool;
}

const podListSchema = z.object({
  items: z.array(
    z.looseObject({
      metadata: z.looseObject({
        name: z.string(),
        uid: z.string(),
        deletionTimestamp: z.string().optional(),
        annotations: z.record(z.string(), z.string()).default({}),
        labels: z.record(z.string(), z.string()).default({}),
      }),
      spec: z.looseObject({ nodeName: z.string().optional() }),
      status: z.looseObject({
        phase: z.string(),
        conditions: z
          .array(z.looseObject({ type: z.string(), status: z.string(), reason: z.string().optional() }))
          .default([]),
      }),
    }),
  ),
});
export type WorldPod = z.infer<typeof podListSchema>['items'][number];

/** The answer of the public API, of which tests read what they expect. */
// biome-ignore lint/suspicious/noExplicitAny: -- as the tests of local mode have it
type Body = any;

const within = { timeout: 50_000, interval: 50 };

/**
 * The platform with its cluster: the api in this process, which other processes reach over HTTP, and a control plane of
 * Kubernetes with every object that the program of infra puts there. Directors are processes of their own, as they are
 * in the cluster, and have the ServiceAccount that infra gives them; machines come when a test starts them.
 */
export class World {
  readonly cluster: KubernetesCluster;
  readonly api: TestApi;
  /** Of the api, as pods call it. */
  readonly url: string;
  readonly images = new Images();
  readonly #server: Server;
  readonly #nodes: NodeAgent[] = [];
  readonly #directors: Director[] = [];
  readonly #stops: readonly (() => Promise<void>)[];
  #skewMs = 0;
  #files = 0;

  private constructor(cluster: KubernetesCluster, api: TestApi, server: Server) {
    this.cluster = cluster;
    this.api = api;
    this.#server = server;
    this.url = urlOf(server);
    Object.defineProperty(api.clock, 'now', { get: () => Date.now() + this.#skewMs });
    const { flow, pools, clock } = api;
    const sweeper = new Sweeper({ flow, pools, now: () => clock.now, logger: pino({ level: 'silent' }) });
    this.#stops = [
      sweeper.start({ deadlineMs: 500, repairMs: 500 }),
      api.table.consume(createMetering(api.table)),
    ];
    this.images.set(runnerReference, runnerImage);
  }

  static async start(): Promise<World> {
    const [cluster, objects] = await Promise.all([startKubernetesCluster(), capacityObjects()]);
    const trust = {
      issuer: cluster.issuer,
      directorAccount: `${systemNamespace}:${directorAccount}`,
    };
    let url = '';
    const api = await openApi(undefined, { cluster: trust, publicUrl: () => url });
    const server = createAdaptorServer({ fetch: api.api.fetch }) as Server;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = urlOf(server);
    const world = new World(cluster, api, server);
    await cluster.apply(objects);
    return world;
  }

  /** Moves the api's clock on: leases that are not renewed by then are over. */
  skip(ms: number): void {
    this.#skewMs += ms;
  }

  /** @param image none: the registry has no such image */
  async addModel(name: string, image: ContainerImage | undefined, hardware = 'cpu'): Promise<WorldModel> {
    const version = createHash('sha256').update(name).digest('hex');
    const reference = `registry.example.com/${name}@sha256:${version}`;
    if (image) this.images.set(reference, image);
    const openapiSchema = schemaWith({ script: { type: 'string' }, gate: { type: 'string' } });
    await this.api.addModel({ name, hardware }, { id: version, openapiSchema, image: reference });
    const model = `local/${name}`;
    const pool: Pool = {
      id: sharedPoolId({ model, version, hardware }),
      account: 'local',
      model,
      version,
      hardware,
      concurrency: 1,
      streams: false,
      image: reference,
    };
    return { version, image: reference, pool };
  }

  async startNode(options: Partial<NodeAgentOptions> = {}): Promise<NodeAgent> {
    const { cluster, images } = this;
    const node = await NodeAgent.start({ cluster, images, sku: 'cpu', ...options });
    this.#nodes.push(node);
    return node;
  }

  /** All machines go, and pods of models with them. */
  async removeNodes(): Promise<void> {
    await Promise.all(this.#nodes.splice(0).map((node) => node.remove()));
  }

  /** A director with the access that its pod has, which is started anew when it ends, as Kubernetes does. */
  async startDirector(env: Readonly<Record<string, string>> = {}): Promise<Director> {
    const account = [systemNamespace, directorAccount] as const;
    const { cluster } = this;
    const token = await cluster.serviceAccountToken(...account, tokenAudience);
    const file = join(this.api.folder, `director-token-${this.#files++}`);
    await writeFile(file, token, { mode: 0o600 });
    const share = { cpuMillis: 1000, memoryMib: 1024, ephemeralMib: 1024 };
    const director = new Director({
      MIMEO_URL: this.url,
      MIMEO_DIRECTOR_TOKEN_FILE: file,
      MIMEO_FLEET: 'kubernetes',
      MIMEO_RUNNER_IMAGE: runnerReference,
      MIMEO_MACHINES: JSON.stringify({ cpu: { ...share, gpus: 0 }, 'gpu-t4': { ...share, gpus: 1 } }),
      MIMEO_MAX_INSTANCES: '4',
      MIMEO_DRAIN_GRACE_SECONDS: '5',
      KUBECONFIG: await cluster.kubeconfig(await cluster.serviceAccountToken(...account, cluster.url)),
      ...env,
    });
    this.#directors.push(director);
    await director.started;
    return director;
  }

  /** A prediction of a model that does what the script says. */
  async predict(
    { version }: Pick<WorldModel, 'version'>,
    input: object,
    headers: Record<string, string> = {},
  ): Promise<Body> {
    return await this.json('POST', '/predictions', { version, input }, headers);
  }

  async json(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Body> {
    const response = await this.api.call(method, `/v1${path}`, body, headers);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  }

  /** A prediction once this is true of it. */
  async until(id: string, expected: object): Promise<Body> {
    return await vi.waitFor(async () => {
      const prediction = await this.json('GET', `/predictions/${id}`);
      expect(prediction).toMatchObject(expected);
      return prediction;
    }, within);
  }

  /** A prediction once it has ended. */
  async untilEnded(id: string): Promise<Body> {
    return await this.until(id, { completed_at: expect.any(String) });
  }

  /** Predictions that wait or run. */
  async unfinished(): Promise<readonly { readonly id: string }[]> {
    const { results } = await this.json('GET', '/predictions');
    return results.filter((one: Body) => one.completed_at === null);
  }

  /** What was billed for a prediction. */
  async billed(id: string): Promise<readonly UsageRecord[]> {
    const { items } = await new Usage(this.api.table).list('local', this.api.clock.now, { limit: 100 });
    return items.filter((record) => record.id === id);
  }

  /** Every model's pods, as the API server has them. */
  async allPods(): Promise<readonly WorldPod[]> {
    const path = `/api/v1/namespaces/${modelsNamespace}/pods`;
    return podListSchema.parse(await this.cluster.request('GET', path)).items;
  }

  async pods({ pool }: Pick<WorldModel, 'pool'>): Promise<readonly WorldPod[]> {
    return (await this.allPods()).filter(({ metadata }) => metadata.name.startsWith(`${poolName(pool.id)}-`));
  }

  async untilPods(model: Pick<WorldModel, 'pool'>, count: number): Promise<readonly WorldPod[]> {
    return await vi.waitFor(async () => {
      const pods = await this.pods(model);
      expect(pods).toHaveLength(count);
      return pods;
    }, within);
  }

  /** What went on, for a test that fails. */
  said(): string {
    const nodes = this.#nodes.flatMap((node) =>
      node.pods().flatMap((pod) => ['runner', 'model'].map((name) => `${name}: ${pod.said(name)}`)),
    );
    return [...this.#directors.map((director) => director.said()), ...nodes].join('\n');
  }

  async stop(): Promise<void> {
    await Promise.all(this.#directors.map((director) => director.kill()));
    await Promise.all(this.#nodes.map((node) => node.lose()));
    await Promise.all(this.#stops.map((stop) => stop()));
    this.#server.closeAllConnections();
    this.#server.close();
    await this.cluster.stop();
    await this.api.close();
    await rm(this.api.folder, { recursive: true, force: true });
  }
}

/** The director's program as a process, and what Kubernetes does for it. */
class Director {
  /** Resolves once it waits for its turn to lead. */
  readonly started: Promise<unknown>;
  readonly #env: Readonly<Record<string, string>>;
  readonly #killed = new AbortController();
  readonly #supervised: Promise<void>;
  #process: ServiceProcess | undefined;

  constructor(env: Readonly<Record<string, string>>) {
    this.#env = env;
    this.started = this.#start();
    this.#supervised = this.#supervise();
  }

  said(): string {
    return this.#process?.said() ?? '';
  }

  /** kill -9, for good. */
  async kill(): Promise<void> {
    this.#killed.abort();
    await this.#supervised;
    if (this.#process?.isRunning) await this.#process.kill();
  }

  async #start(): Promise<void> {
    const ready = 'waiting until no other director leads';
    this.#process = await startService('services/director/main.ts', this.#env, ready);
  }

  async #supervise(): Promise<void> {
    const { signal } = this.#killed;
    await this.started;
    while (!signal.aborted) {
      await pause(200, undefined, { signal }).catch(() => {});
      if (!signal.aborted && this.#process?.isRunning === false) await this.#start();
    }
  }
}

/** Shows what went on in a test that fails. Called at the top of a file. */
export function showOnFailure(world: () => World | undefined): void {
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.error(world()?.said());
  });
}

function urlOf(server: Server): string {
  const { port } = z.object({ port: z.int() }).parse(server.address());
  return `http://127.0.0.1:${port}`;
}

const first = ['Namespace', 'PriorityClass', 'ServiceAccount'];

/** Everything that the program of infra puts into a cluster. */
export async function capacityObjects(): Promise<readonly KubernetesObject[]> {
  const { resources } = await recordCapacity(configOf({ tiers: { cpu: { max: 8 }, 'gpu-t4': { max: 2 } } }));
  const made = resources
    .filter(({ type }) => type.startsWith('kubernetes:'))
    .map(({ inputs }) => inputs as unknown as KubernetesObject);
  return [
    ...first.flatMap((kind) => made.filter((object) => object.kind === kind)),
    ...made.filter(({ kind }) => !first.includes(kind)),
  ];
}
