import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import {
  acceleratorLabel,
  gpuResource,
  modelsTaint,
  skuLabel,
} from '../../services/core/kubernetes-names.ts';
import type { LaunchSpec } from '../../services/core/launch.ts';
import type { ContainerImage } from './container-process.ts';
import type { KubernetesChange } from './kubernetes-api.ts';
import type { KubernetesCluster } from './kubernetes-cluster.ts';
import { NodePod, podSchema } from './node-pod.ts';

const repository = resolve(import.meta.dirname, '../..');
const renewMs = 1000;

/** The image of a model that was built on this machine. */
export function imageOf(spec: LaunchSpec): ContainerImage {
  // What a pod says stands in place of the command.
  return { entrypoint: [], cmd: [spec.command, ...spec.args], env: spec.env, cwd: spec.cwd };
}

/** The image of the runner, from the sources that are tried. */
export const runnerImage: ContainerImage = {
  entrypoint: [process.execPath, 'services/runner/main.ts'],
  cmd: [],
  env: { PATH: process.env.PATH ?? '', MIMEO_LOG_LEVEL: 'info' },
  cwd: repository,
};

/** What registries have: what stands on this machine for each name of an image. */
export class Images {
  readonly #images = new Map<string, ContainerImage>();
  readonly #held = new Map<string, PromiseWithResolvers<void>>();

  set(name: string, image: ContainerImage): void {
    this.#images.set(name, image);
  }

  /** From now on pulls of this image wait. @returns what lets them go on */
  hold(name: string): () => void {
    const held = Promise.withResolvers<void>();
    this.#held.set(name, held);
    return () => {
      this.#held.delete(name);
      held.resolve();
    };
  }

  async pull(name: string): Promise<ContainerImage | undefined> {
    await this.#held.get(name)?.promise;
    return this.#images.get(name);
  }
}

export interface NodeAgentOptions {
  readonly cluster: KubernetesCluster;
  readonly images: Images;
  readonly sku: string;
  /** @default 0 */
  readonly gpus?: number;
  /** Of the machine, all of which pods may ask for. @default 16 */
  readonly cpus?: number;
  /** @default 64 GiB */
  readonly memoryMib?: number;
}

const listSchema = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  items: z.array(podSchema),
});

/**
 * A machine of a tier with a kubelet's stand-in: the scheduler places pods on it, and it runs the real programs that each
 * pod says, as processes of this machine. It knows as much of Kubernetes as the pods of models need.
 */
export class NodeAgent {
  readonly name: string;
  readonly #options: NodeAgentOptions;
  readonly #pods = new Map<string, NodePod>();
  readonly #ended = new AbortController();
  #working: Promise<unknown> = Promise.resolve();

  private constructor(options: NodeAgentOptions) {
    this.#options = options;
    this.name = `node-${options.sku}-${randomBytes(4).toString('hex')}`;
  }

  /** Resolves once the machine can be given pods. */
  static async start(options: NodeAgentOptions): Promise<NodeAgent> {
    const agent = new NodeAgent(options);
    await agent.#register();
    agent.#working = Promise.all([agent.#renew(), agent.#follow()]);
    return agent;
  }

  /** @throws Error where the pod is not on this machine */
  pod(name: string): NodePod {
    const found = this.pods().find((one) => one.pod.metadata.name === name);
    if (!found) throw new Error(`${name} does not run on ${this.name}`);
    return found;
  }

  pods(): readonly NodePod[] {
    return [...this.#pods.values()];
  }

  /** The machine is gone as a spot instance goes that got no notice: its processes die, and nothing is told any more. */
  async lose(): Promise<void> {
    this.#ended.abort();
    await this.#working;
    await Promise.all(this.pods().map((pod) => pod.lose()));
  }

  /** Removes the machine from the cluster, as the cloud's controller does once the instance is terminated. */
  async remove(): Promise<void> {
    await this.lose();
    await this.#options.cluster.request('DELETE', `/api/v1/nodes/${this.name}`).catch(() => {});
  }

  async #register(): Promise<void> {
    const { cluster, sku, gpus = 0, cpus = 16, memoryMib = 64 * 1024 } = this.#options;
    const taint = (key: string) => ({ key, value: 'true', effect: 'NoSchedule' });
    await cluster.request('POST', '/api/v1/nodes', {
      metadata: {
        name: this.name,
        labels: {
          'kubernetes.io/hostname': this.name,
          'kubernetes.io/os': 'linux',
          'kubernetes.io/arch': 'amd64',
          [skuLabel]: sku,
          ...(gpus > 0 ? { [acceleratorLabel]: 'nvidia-tesla-t4' } : {}),
        },
      },
      spec: { taints: [taint(modelsTaint), ...(gpus > 0 ? [taint(gpuResource)] : [])] },
    });
    const capacity = {
      cpu: String(cpus),
      memory: `${memoryMib}Mi`,
      'ephemeral-storage': '200Gi',
      pods: '110',
      ...(gpus > 0 ? { [gpuResource]: String(gpus) } : {}),
    };
    const at = new Date().toISOString();
    const condition = (type: string, status: string, reason: string) => ({
      type,
      status,
      reason,
      lastHeartbeatTime: at,
      lastTransitionTime: at,
    });
    await cluster.request('POST', leases, {
      metadata: { name: this.name, namespace: 'kube-node-lease' },
      spec: this.#lease(),
    });
    await cluster.request('PATCH', `/api/v1/nodes/${this.name}/status`, {
      status: {
        capacity,
        allocatable: capacity,
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        conditions: [
          condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory'),
          condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure'),
          condition('PIDPressure', 'False', 'KubeletHasSufficientPID'),
          condition('Ready', 'True', 'KubeletReady'),
        ],
      },
    });
  }

  #lease(): object {
    const renewTime = `${new Date().toISOString().slice(0, -1)}000Z`;
    return { holderIdentity: this.name, leaseDurationSeconds: 40, renewTime };
  }

  async #renew(): Promise<void> {
    while (await this.#lives(renewMs)) {
      const spec = this.#lease();
      await this.#options.cluster
        .request('PATCH', `${leases}/${this.name}`, { spec })
        // A server that is away is asked again in a second.
        .catch(() => {});
    }
  }

  /** Waits. @returns whether the machine is still there */
  async #lives(ms: number): Promise<boolean> {
    await pause(ms, undefined, { signal: this.#ended.signal }).catch(() => {});
    return !this.#ended.signal.aborted;
  }

  async #follow(): Promise<void> {
    const path = `/api/v1/pods?fieldSelector=spec.nodeName%3D${this.name}`;
    do {
      try {
        const { metadata, items } = listSchema.parse(await this.#options.cluster.request('GET', path));
        const there = new Set(items.map((pod) => pod.metadata.uid));
        for (const uid of this.#pods.keys()) if (!there.has(uid)) this.#forget(uid);
        for (const pod of items) this.#take({ type: 'MODIFIED', object: pod as never });
        const from = `${path}&resourceVersion=${metadata.resourceVersion}`;
        for await (const change of this.#options.cluster.watch(from, this.#ended.signal)) this.#take(change);
      } catch (error) {
        if (error instanceof z.ZodError) throw error;
        // The server is away or has ended the watch: all is looked at anew.
      }
    } while (await this.#lives(200));
  }

  #take({ type, object }: KubernetesChange): void {
    if (type === 'ERROR' || type === 'BOOKMARK') return;
    const pod = podSchema.parse(object);
    const { uid, deletionTimestamp, deletionGracePeriodSeconds = 30 } = pod.metadata;
    if (type === 'DELETED') {
      this.#forget(uid);
      return;
    }
    const known = this.#pods.get(uid);
    if (deletionTimestamp !== undefined) {
      const ending = known ?? new NodePod(pod, this.#surroundings);
      void ending.terminate(deletionGracePeriodSeconds);
    } else if (!known) {
      const started = new NodePod(pod, this.#surroundings);
      this.#pods.set(uid, started);
      void started.start();
    }
  }

  get #surroundings() {
    const { cluster, images } = this.#options;
    return { cluster, node: this.name, pull: (image: string) => images.pull(image) };
  }

  /** It was deleted at once, or has been cleared away. */
  #forget(uid: string): void {
    const pod = this.#pods.get(uid);
    this.#pods.delete(uid);
    void pod?.lose();
  }
}

const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
