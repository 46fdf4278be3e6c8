import { createHash } from 'node:crypto';

/** Names that the machines of a cluster and whoever places pods on them share. */

/** Label of a machine, and of a model's pod: the SKU that it provides or runs on. */
export const skuLabel = 'mimeo.dev/sku';
/** Label of a GPU machine. The autoscaler waits for its device plugin by it, and starts no second machine meanwhile. */
export const acceleratorLabel = 'k8s.amazonaws.com/accelerator';
/** Label of the machines that run the director, the autoscaler and DNS. */
export const systemLabel = 'mimeo.dev/system';
/** Label of the namespace of models; rules of admission go by it. */
export const modelsLabel = 'mimeo.dev/models';
/** Taint of every tier's machines: only models run there, so nothing else keeps a machine from being given back. */
export const modelsTaint = 'mimeo.dev/models';
/** Taint of GPU machines, and the resource that a pod asks for. */
export const gpuResource = 'nvidia.com/gpu';

/** Namespace of the director and the autoscaler. */
export const systemNamespace = 'mimeo';
/** Namespace of models' pods. */
export const modelsNamespace = 'mimeo-models';
/** The director's ServiceAccount, of `systemNamespace`. */
export const directorAccount = 'director';
/** Whom tokens of ServiceAccounts are made out to when the api is to believe them. */
export const tokenAudience = 'mimeo';

/** The priority class of models' pods on one SKU; quotas go by it. */
export function priorityClassOf(sku: string): string {
  return `mimeo-${sku}`;
}

/** The ServiceAccount of models' pods, of `modelsNamespace`. It may do nothing; its token names its pod. */
export const runnerAccount = 'runner';
/** Label of everything that the director makes, and its value. */
export const managedByLabel = 'app.kubernetes.io/managed-by';
export const directorManager = 'mimeo-director';

/**
 * The name of a pool in the cluster, which its pods' names begin with: `m-` and 128 bits of the SHA-256 of the pool's id,
 * so that the name of a pod, which the cluster signs into its token, proves which pool it is of.
 */
export function poolName(poolId: string): string {
  return `m-${createHash('sha256').update(poolId).digest('hex').slice(0, 32)}`;
}

/** The name of a pool's instance and of its pod. @param suffix lower-case letters and digits, of no other instance */
export function podName(poolId: string, suffix: string): string {
  return `${poolName(poolId)}-${suffix}`;
}

/** Whether a pod is of a pool, by its name. */
export function isPodOf(poolId: string, pod: string): boolean {
  return pod.startsWith(`${poolName(poolId)}-`);
}
