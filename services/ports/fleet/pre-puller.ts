import { createHash } from 'node:crypto';
import { z } from 'zod';
import {
  gpuResource,
  managedByLabel,
  modelsNamespace,
  modelsTaint,
  priorityClassOf,
  runnerAccount,
  skuLabel,
} from '../../core/kubernetes-names.ts';
import type { Pool } from '../../core/pool.ts';
import { type ImageNode, nextPulls, type Pull } from '../../core/pre-pull.ts';
import { type KubernetesClient, KubernetesError } from './kubernetes-client.ts';
import { harmless, type Manifest } from './pod-spec.ts';

/** Value of the label that says who made a pod: these run nothing, and are no instances. */
export const prePullManager = 'mimeo-pre-pull';

/** How long a pull that failed is not tried again. */
const failedMs = 600_000;
/** A pull that takes longer is given up by Kubernetes. */
const deadlineSeconds = 1800;

const pullAnnotation = 'mimeo.dev/pull';
const api = `/api/v1/namespaces/${modelsNamespace}`;

const nodeSchema = z.object({
  metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
  spec: z.object({ unschedulable: z.boolean().nullish() }).default({}),
  status: z
    .object({
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).nullish(),
      images: z.array(z.object({ names: z.array(z.string()).nullish() })).nullish(),
    })
    .default({}),
});

const pullSchema = z.object({ node: z.string(), sku: z.string(), image: z.string() });
const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    annotations: z.record(z.string(), z.string()).default({}),
    deletionTimestamp: z.string().nullish(),
  }),
  status: z
    .object({
      phase: z.string().optional(),
      containerStatuses: z
        .array(
          z.object({
            imageID: z.string().default(''),
            state: z.object({ waiting: z.object({ reason: z.string().optional() }).nullish() }).default({}),
          }),
        )
        .nullish(),
    })
    .default({}),
});
type Pod = z.infer<typeof podSchema>;

export interface PrePullerOptions {
  readonly client: KubernetesClient;
  /** Asked right before each change: false once another director may have taken over. */
  readonly mayAct: () => boolean;
  readonly logger?: { warn(fields: object, message: string): void };
  /** Epoch ms. */
  readonly now?: () => number;
}

/** Brings images to machines before an instance waits for them. */
export interface PrePuller {
  /** @param pools whose versions are likely to be wanted next, the likeliest first */
  prepare(pools: readonly Pool[]): void;
  close(): void;
}

/**
 * Pulls by pods that run `/bin/true` of the image under the rules of all models' pods: whether that is in it does not
 * matter, since the kubelet has the image by then. Each is deleted as soon as its image is there, or cannot be had.
 */
export function createPrePuller(options: PrePullerOptions): PrePuller {
  return new Puller(options);
}

class Puller implements PrePuller {
  readonly #options: PrePullerOptions;
  readonly #now: () => number;
  readonly #nodes = new Map<string, ImageNode>();
  readonly #pulls = new Map<string, Pull>();
  /** What failed, and until when it is left alone. */
  readonly #failed = new Map<string, { readonly pull: Pull; readonly until: number }>();
  readonly #stops: (() => void)[];
  #pools: readonly Pool[] = [];
  #isListed = false;

  constructor(options: PrePullerOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const lost = (error: unknown) =>
      options.logger?.warn(
        { error: String(error) },
        'a watch of the pre-pull was lost; it is taken up again',
      );
    this.#stops = [
      options.client.watch({
        path: '/api/v1/nodes',
        labelSelector: skuLabel,
        set: (object) => this.#seeNode(object),
        remove: (object) => {
          const name = nodeSchema.safeParse(object).data?.metadata.name;
          if (name !== undefined) this.#nodes.delete(name);
        },
        listed: () => {},
        lost,
      }),
      options.client.watch({
        path: `${api}/pods`,
        labelSelector: `${managedByLabel}=${prePullManager}`,
        set: (object) => this.#seePod(object),
        remove: (object) => {
          const name = podSchema.safeParse(object).data?.metadata.name;
          if (name !== undefined) this.#pulls.delete(name);
          this.#begin();
        },
        listed: () => {
          this.#isListed = true;
          this.#begin();
        },
        lost,
      }),
    ];
  }

  prepare(pools: readonly Pool[]): void {
    this.#pools = pools;
    this.#begin();
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#isListed = false;
  }

  #seeNode(object: unknown): void {
    const node = nodeSchema.safeParse(object).data;
    const sku = node?.metadata.labels[skuLabel];
    if (!node || sku === undefined) return;
    const { name } = node.metadata;
    const isReady = node.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
    if (!isReady || node.spec.unschedulable) {
      this.#nodes.delete(name);
      return;
    }
    const images = new Set(node.status.images?.flatMap(({ names }) => names ?? []));
    this.#nodes.set(name, { name, sku, images });
    this.#begin();
  }

  #seePod(object: unknown): void {
    const pod = podSchema.safeParse(object).data;
    const pull = pod && pullOf(pod);
    if (!pod || !pull) return;
    const { name, deletionTimestamp } = pod.metadata;
    this.#pulls.set(name, pull);
    const end = endOf(pod);
    if (end === undefined || deletionTimestamp != null) return;
    if (end === 'failed') this.#failed.set(name, { pull, until: this.#now() + failedMs });
    // The kubelet lists it with its next word.
    else this.#nodes.set(pull.node, withImage(this.#nodes.get(pull.node), pull));
    void this.#write('DELETE', `${api}/pods/${name}`);
  }

  #begin(): void {
    if (!this.#isListed) return;
    for (const [name, { until }] of this.#failed) if (until <= this.#now()) this.#failed.delete(name);
    const failed = [...this.#failed.values()].map(({ pull }) => pull);
    for (const pull of nextPulls(this.#pools, [...this.#nodes.values()], [...this.#pulls.values()], failed)) {
      const manifest = podOfPull(pull);
      const { name } = manifest.metadata;
      this.#pulls.set(name, pull);
      void this.#write(
        'PATCH',
        `${api}/pods/${name}?fieldManager=${prePullManager}&force=true`,
        manifest,
      ).then((isDone) => {
        if (isDone) return;
        this.#pulls.delete(name);
        this.#failed.set(name, { pull, until: this.#now() + failedMs });
      });
    }
  }

  /** @returns whether it was done; what a pull comes to nothing by is told in the log and harms nobody */
  async #write(method: 'PATCH' | 'DELETE', path: string, body?: Manifest): Promise<boolean> {
    if (!this.#options.mayAct()) return false;
    const contentType = 'application/apply-patch+yaml';
    try {
      await this.#options.client.request(method, path, body ? { body, contentType } : {});
      return true;
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return true;
      this.#options.logger?.warn({ error: String(error), path }, 'an image could not be pulled beforehand');
      return false;
    }
  }
}

/** `pulled` once the image is on the machine, whatever became of what was run from it; undefined while that is open. */
function endOf({ status }: Pod): 'pulled' | 'failed' | undefined {
  const [container] = status.containerStatuses ?? [];
  if (container && container.imageID !== '') return 'pulled';
  const waiting = container?.state.waiting?.reason ?? '';
  if (/ImagePull|InvalidImageName|ImageInspect|RegistryUnavailable/.test(waiting)) return 'failed';
  return status.phase === 'Failed' || status.phase === 'Succeeded' ? 'failed' : undefined;
}

function withImage(node: ImageNode | undefined, { node: name, sku, image }: Pull): ImageNode {
  return { name, sku, images: new Set([...(node?.images ?? []), image]) };
}

function pullOf({ metadata }: Pod): Pull | undefined {
  try {
    return pullSchema.safeParse(JSON.parse(metadata.annotations[pullAnnotation] ?? '')).data;
  } catch {
    return undefined;
  }
}

/** The pod that has a machine pull an image. Its name is the pull's, so that it is asked for once. */
export function podOfPull(pull: Pull): Manifest {
  const digest = createHash('sha256').update(`${pull.node} ${pull.image}`).digest('hex').slice(0, 32);
  const amounts = { cpu: '1m', memory: '16Mi', 'ephemeral-storage': '16Mi' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `pull-${digest}`,
      namespace: modelsNamespace,
      labels: { [managedByLabel]: prePullManager, [skuLabel]: pull.sku },
      annotations: { [pullAnnotation]: JSON.stringify(pull) },
    },
    spec: {
      restartPolicy: 'Never',
      activeDeadlineSeconds: deadlineSeconds,
      terminationGracePeriodSeconds: 0,
      serviceAccountName: runnerAccount,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      priorityClassName: priorityClassOf(pull.sku),
      nodeSelector: { [skuLabel]: pull.sku, 'kubernetes.io/hostname': pull.node },
      tolerations: [modelsTaint, gpuResource].map((key) => ({
        key,
        operator: 'Exists',
        effect: 'NoSchedule',
      })),
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'pull',
          image: pull.image,
          command: ['/bin/true'],
          resources: { requests: amounts, limits: amounts },
          securityContext: harmless,
        },
      ],
    },
  };
}
