import {
  directorManager,
  gpuResource,
  managedByLabel,
  modelsNamespace,
  modelsTaint,
  poolName,
  priorityClassOf,
  runnerAccount,
  skuLabel,
  tokenAudience,
} from '../../core/kubernetes-names.ts';
import type { Pool } from '../../core/pool.ts';
import { serverEnvironment } from './cog-server.ts';

/** Label of everything of one pool: its name in the cluster. */
const poolLabel = 'mimeo.dev/pool';
/** Annotation of a pod and of its owner: the pool's id. */
const poolIdAnnotation = 'mimeo.dev/pool-id';
/** Annotation of a pod and of its owner: the pool as JSON. */
export const poolAnnotation = 'mimeo.dev/pool';
/** Annotation of a pod that was told to drain: when, as epoch ms. It outlives the director that told it. */
export const drainAnnotation = 'mimeo.dev/drain';
/** By which the cluster's autoscaler leaves a machine alone, and what says the same to Karpenter. */
export const safeToEvictAnnotation = 'cluster-autoscaler.kubernetes.io/safe-to-evict';
export const doNotDisruptAnnotation = 'karpenter.sh/do-not-disrupt';

/** The containers of a pod: whose image is the version's, and the one beside it that feeds it. */
export const modelContainer = 'model';
export const runnerContainer = 'runner';

/** What one instance may take of a machine, its runner included. */
export interface InstanceShare {
  readonly cpuMillis: number;
  readonly memoryMib: number;
  /** Disk for what is written, MiB; images are beside it. */
  readonly ephemeralMib: number;
  readonly gpus: number;
}

/** What pods are made of beside their pool. */
export interface PodSettings {
  /** The control plane, as pods call it. */
  readonly url: string;
  /** By digest. */
  readonly runnerImage: string;
  /** By SKU. */
  readonly shares: Readonly<Record<string, InstanceShare>>;
  readonly setupTimeoutSeconds: number;
  /** How long a pod that is deleted may go on with what it runs. */
  readonly drainGraceSeconds: number;
  /** Largest file that a model may put out as its whole output, MiB. */
  readonly maxFileMib: number;
}

/** An object as the API server takes it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly object[];
  };
  readonly [property: string]: unknown;
}

const modelPort = 5000;
const uploadPort = 5001;
const drainPort = 8081;
/** Seconds that a model gets to end by itself once its runner has drained. */
const endSeconds = 15;
/** What a runner takes; Node keeps about 90 MiB, and files go through it in pieces. */
const runnerShare = { cpuMillis: 100, memoryMib: 512, ephemeralMib: 64 };
const tokenFolder = '/var/run/secrets/mimeo';
/** Kubernetes puts a new token there once four fifths of this are over. */
const tokenSeconds = 3600;
/** Where coglet keeps each run's files; the runner removes them. */
const runsFolder = '/tmp/coglet';
/** Most memory that processes of a model may share, by which PyTorch's loaders hand data over. */
const mostSharedMemoryMib = 8192;

const harmless = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };

/** What all of a pool's pods belong to: once it is deleted, Kubernetes deletes them too. */
export function ownerOf(pool: Pool): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: poolName(pool.id),
      namespace: modelsNamespace,
      labels: labelsOf(pool),
      annotations: { [poolIdAnnotation]: pool.id },
    },
    data: { pool: JSON.stringify(pool) },
  };
}

/**
 * The pod of one instance of a pool: the version's own image and, beside it, a runner that feeds it.
 * @param name as `podName` makes it
 * @param owner UID of what `ownerOf` made
 * @param uploadPath long and random, of this pod alone
 * @throws Error where the pool has no image, or its SKU no machine
 */
export function podOf(
  pool: Pool,
  name: string,
  { owner, uploadPath }: { readonly owner: string; readonly uploadPath: string },
  settings: PodSettings,
): Manifest {
  const share = settings.shares[pool.hardware];
  if (pool.image === undefined) throw new Error(`The version ${pool.version} of ${pool.model} has no image`);
  if (share === undefined) throw new Error(`No machine of this cluster has the hardware ${pool.hardware}`);
  const uploadUrl = `http://127.0.0.1:${uploadPort}/${uploadPath}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: modelsNamespace,
      labels: { ...labelsOf(pool), [skuLabel]: pool.hardware },
      annotations: {
        [poolIdAnnotation]: pool.id,
        [poolAnnotation]: JSON.stringify(pool),
        [safeToEvictAnnotation]: 'false',
        [doNotDisruptAnnotation]: 'true',
      },
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: poolName(pool.id), uid: owner }],
    },
    spec: {
      restartPolicy: 'Never',
      serviceAccountName: runnerAccount,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      priorityClassName: priorityClassOf(pool.hardware),
      nodeSelector: { [skuLabel]: pool.hardware },
      tolerations: [modelsTaint, gpuResource].map((key) => ({
        key,
        operator: 'Exists',
        effect: 'NoSchedule',
      })),
      affinity: besideOthers(pool.hardware),
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      terminationGracePeriodSeconds: Math.ceil(settings.drainGraceSeconds) + endSeconds,
      // A sidecar: it is there before the model's container begins, and goes after that has ended.
      initContainers: [{ ...runner(pool, name, uploadUrl, settings), restartPolicy: 'Always' }],
      containers: [model(pool.image, pool.concurrency, uploadUrl, share)],
      volumes: volumesOf(share),
    },
  };
}

function labelsOf(pool: Pool): Record<string, string> {
  return { [managedByLabel]: directorManager, [poolLabel]: poolName(pool.id) };
}

function runner(pool: Pool, name: string, uploadUrl: string, settings: PodSettings) {
  return {
    name: runnerContainer,
    image: settings.runnerImage,
    env: variables({
      MIMEO_URL: settings.url,
      MIMEO_RUNNER_TOKEN_FILE: `${tokenFolder}/token`,
      MIMEO_INSTANCE: name,
      MIMEO_POOL: pool.id,
      MIMEO_CONCURRENCY: pool.concurrency,
      MIMEO_STREAMS: pool.streams,
      COG_URL: `http://127.0.0.1:${modelPort}`,
      COG_UPLOAD_URL: uploadUrl,
      MIMEO_MAX_FILE_MB: settings.maxFileMib,
      MIMEO_SETUP_TIMEOUT_SECONDS: settings.setupTimeoutSeconds,
      MIMEO_DRAIN_GRACE_SECONDS: settings.drainGraceSeconds,
      MIMEO_REPORTS: true,
      MIMEO_DRAIN_PORT: drainPort,
    }),
    resources: {
      requests: quantities(runnerShare),
      limits: { memory: `${runnerShare.memoryMib}Mi`, 'ephemeral-storage': `${runnerShare.ephemeralMib}Mi` },
    },
    // Root without its powers: it removes the files of runs, which the model's root has made.
    securityContext: { ...harmless, runAsUser: 0, runAsNonRoot: false, readOnlyRootFilesystem: true },
    volumeMounts: [
      { name: 'token', mountPath: tokenFolder, readOnly: true },
      { name: 'runs', mountPath: runsFolder },
    ],
  };
}

function model(image: string, concurrency: number, uploadUrl: string, share: InstanceShare) {
  const own = {
    cpuMillis: share.cpuMillis - runnerShare.cpuMillis,
    memoryMib: share.memoryMib - runnerShare.memoryMib,
    ephemeralMib: share.ephemeralMib - runnerShare.ephemeralMib,
  };
  const amounts = { ...quantities(own), ...(share.gpus > 0 ? { [gpuResource]: String(share.gpus) } : {}) };
  return {
    name: modelContainer,
    image,
    args: ['python', '-m', 'cog.server.http', '--host', '127.0.0.1', '--upload-url', uploadUrl],
    env: variables({ ...serverEnvironment, PORT: modelPort, COG_MAX_CONCURRENCY: concurrency }),
    resources: { requests: amounts, limits: amounts },
    securityContext: harmless,
    // Whoever ends the pod, the runner first ends what it can and gives back the rest; only then the model is told.
    lifecycle: { preStop: { httpGet: { path: '/drain', port: drainPort } } },
    volumeMounts: [
      { name: 'runs', mountPath: runsFolder },
      { name: 'shared-memory', mountPath: '/dev/shm' },
    ],
  };
}

function volumesOf(share: InstanceShare): readonly object[] {
  const token = { path: 'token', audience: tokenAudience, expirationSeconds: tokenSeconds };
  const sharedMib = Math.min(mostSharedMemoryMib, Math.floor(share.memoryMib / 2));
  return [
    { name: 'token', projected: { sources: [{ serviceAccountToken: token }] } },
    { name: 'runs', emptyDir: { sizeLimit: `${Math.floor(share.ephemeralMib / 2)}Mi` } },
    // Counted as the model's own memory.
    { name: 'shared-memory', emptyDir: { medium: 'Memory', sizeLimit: `${sharedMib}Mi` } },
  ];
}

/** Machines with several GPUs are filled before others are begun, so that those can be given back. */
function besideOthers(sku: string): object {
  const podAffinityTerm = {
    labelSelector: { matchLabels: { [skuLabel]: sku } },
    topologyKey: 'kubernetes.io/hostname',
  };
  return {
    podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm }] },
  };
}

function quantities(share: Omit<InstanceShare, 'gpus'>): Record<string, string> {
  return {
    cpu: `${share.cpuMillis}m`,
    memory: `${share.memoryMib}Mi`,
    'ephemeral-storage': `${share.ephemeralMib}Mi`,
  };
}

function variables(of: Readonly<Record<string, string | number | boolean>>): readonly object[] {
  return Object.entries(of).map(([name, value]) => ({ name, value: String(value) }));
}
