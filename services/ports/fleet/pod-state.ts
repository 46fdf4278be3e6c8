import { z } from 'zod';
import { gpuResource } from '../../core/kubernetes-names.ts';
import { type Instance, type Pool, poolSchema } from '../../core/pool.ts';
import { drainAnnotation, modelContainer, poolAnnotation, runnerContainer } from './pod-spec.ts';

const time = z.string().transform((text) => Date.parse(text));

const containerSchema = z.object({
  name: z.string(),
  state: z
    .object({
      waiting: z.object({ reason: z.string().optional(), message: z.string().optional() }).optional(),
      running: z.object({}).optional(),
      terminated: z
        .object({ exitCode: z.int(), reason: z.string().optional(), message: z.string().optional() })
        .optional(),
    })
    .optional(),
});
type Container = z.infer<typeof containerSchema>;

const conditionSchema = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().nullish(),
  message: z.string().nullish(),
  lastTransitionTime: time.nullish(),
});
type Condition = z.infer<typeof conditionSchema>;

/** What is read of a pod, as the API server tells it. Times are epoch ms. */
export const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    uid: z.string(),
    creationTimestamp: time,
    deletionTimestamp: time.nullish(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.object({ nodeName: z.string().nullish() }),
  status: z
    .object({
      phase: z.string().optional(),
      reason: z.string().nullish(),
      message: z.string().nullish(),
      conditions: z.array(conditionSchema).nullish(),
      initContainerStatuses: z.array(containerSchema).nullish(),
      containerStatuses: z.array(containerSchema).nullish(),
    })
    .default({}),
});
export type Pod = z.infer<typeof podSchema>;

/** What is read of a machine. */
export const nodeSchema = z.object({
  metadata: z.object({ name: z.string() }),
  status: z.object({ conditions: z.array(conditionSchema).nullish() }).default({}),
});
export type Node = z.infer<typeof nodeSchema>;

const eventTime = time.nullish();
/** What is read of an event about a pod. */
export const eventSchema = z.object({
  metadata: z.object({ name: z.string(), creationTimestamp: eventTime }),
  involvedObject: z.object({ name: z.string().optional(), uid: z.string().optional() }),
  reason: z.string().default(''),
  message: z.string().nullish(),
  lastTimestamp: eventTime,
  eventTime,
});
export type PodEvent = z.infer<typeof eventSchema>;

/** What a runner said last of its instance. */
export interface SaidByRunner
  extends Pick<Instance, 'readyAt' | 'running' | 'idleSince' | 'failure' | 'setupLogs'> {
  /** `drained`: it has ended by an order to do so, and the control plane knows of all of its jobs. */
  readonly phase: 'setup' | 'ready' | 'draining' | 'drained' | 'failed';
  /** Why it has to be replaced though it was ready; null while it need not be. */
  readonly broken: string | null;
  /** When the control plane got it, epoch ms. */
  readonly receivedAt: number;
}

/** All that is known of one instance. */
export interface Seen {
  readonly pod: Pod;
  /** About this pod, in any order. */
  readonly events: readonly PodEvent[];
  /** Why the pod's machine is of no more use; undefined where it is. */
  readonly machineTrouble: string | undefined;
  readonly said: SaidByRunner | undefined;
  /** Whether it was told to drain, or is being deleted, and the pod does not show it yet. */
  readonly isLeaving: boolean;
  /** Epoch ms. */
  readonly now: number;
}

type Failure = NonNullable<Instance['failure']>;

/** Less time without work is not told by runners, so that nothing is known of it; here less some for clocks apart. */
const idleKnownMs = 3000;
/** For how long a machine may say that it is not ready before it counts as lost. */
const notReadyMs = 60_000;
/** For how long an image is pulled again after failures that may pass. */
const pullPatienceMs = 15 * 60_000;

/** The pool that a pod is of, by its annotation; undefined where somebody else has made it. */
export function poolOfPod(pod: Pod): Pool | undefined {
  const text = pod.metadata.annotations[poolAnnotation];
  if (text === undefined) return undefined;
  try {
    return poolSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Whether nothing of a pod runs any more. */
export function hasEnded({ status }: Pod): boolean {
  return status.phase === 'Failed' || status.phase === 'Succeeded';
}

/** An instance by what Kubernetes says of its pod and what its runner says of the rest. */
export function instanceOf(pool: Pick<Pool, 'id'>, seen: Seen): Instance {
  const { pod, said } = seen;
  const isLeaving =
    seen.isLeaving ||
    pod.metadata.deletionTimestamp != null ||
    pod.metadata.annotations[drainAnnotation] !== undefined ||
    (said !== undefined && said.readyAt !== null && isLeavingBy(said));
  const failure = isLeaving ? null : failureOf(seen);
  const detail = failure ? undefined : detailOf(seen);
  const phase = failure ? 'failed' : isLeaving ? 'draining' : phaseOf(seen);
  const isKnownIdle = said && said.idleSince !== null && said.receivedAt - said.idleSince >= idleKnownMs;
  return {
    id: pod.metadata.name,
    pool: pool.id,
    phase,
    startedAt: pod.metadata.creationTimestamp,
    readyAt: said?.readyAt ?? null,
    running: failure ? 0 : (said?.running ?? 0),
    idleSince: phase === 'ready' && isKnownIdle ? said.idleSince : null,
    failure,
    setupLogs: said?.setupLogs ?? '',
    ...(detail === undefined ? {} : { detail }),
  };
}

/** Whether an instance that served says that it goes. One that never did has failed, whatever it says of its end. */
function isLeavingBy({ phase, broken }: SaidByRunner): boolean {
  return phase === 'draining' || phase === 'drained' || broken !== null;
}

function phaseOf({ pod, said }: Seen): 'node' | 'image' | 'setup' | 'ready' {
  if (said?.phase === 'ready') return 'ready';
  // Its runner speaks before its own image is there.
  const state = modelOf(pod)?.state;
  if (state?.running || state?.terminated) return 'setup';
  return pod.spec.nodeName == null ? 'node' : 'image';
}

function failureOf(seen: Seen): Failure | null {
  const { pod, said, machineTrouble } = seen;
  return (
    lossOf(pod) ??
    (machineTrouble === undefined ? null : { code: 'platform_error', message: machineTrouble }) ??
    deathOf(pod, said) ??
    (said?.phase === 'failed' ? (said.failure ?? unexplained) : null) ??
    (said?.phase === 'drained' && said.readyAt === null ? toldToEnd : null) ??
    pullFailureOf(seen)
  );
}

/** As by a model that asks its own runner to. */
const toldToEnd: Failure = {
  code: 'setup_failed',
  message: 'The instance was told to end while it was being set up, and nobody of the platform had done so.',
};
const unexplained: Failure = { code: 'setup_failed', message: 'The setup failed and gave no reason.' };

/** Why Kubernetes has ended a pod, or would not begin it. */
function lossOf(pod: Pod): Failure | null {
  const { reason, message } = pod.status;
  const disruption = conditionOf(pod.status.conditions, 'DisruptionTarget');
  if (!hasEnded(pod) && reason !== 'NodeLost') return null;
  const said = message ? ` (${sentence(message)})` : '';
  if (reason === 'Evicted') {
    return /ephemeral|emptydir|disk/i.test(message ?? '')
      ? { code: 'setup_failed', message: `The instance wrote more to its disk than it may.${said}` }
      : lost(`Its machine ran short and evicted it.${said}`);
  }
  if (reason === 'UnexpectedAdmissionError' || reason === `OutOf${gpuResource}`) {
    return lost(`Its machine has no working GPU for it.${said}`);
  }
  if (reason?.startsWith('OutOf') || reason === 'NodeAffinity' || reason === 'AdmissionError') {
    return lost(`Its machine had no room for it after all.${said}`);
  }
  if (reason === 'Terminated' || reason === 'NodeShutdown' || reason === 'Shutdown') {
    return lost(`Its machine is being shut down, as spot machines are when somebody else pays more.${said}`);
  }
  if (reason === 'NodeLost') return lost(`Its machine does not answer any more.${said}`);
  if (disruption?.status === 'True') return lost(disruptionOf(disruption));
  return null;
}

function disruptionOf({ reason, message }: Condition): string {
  const said = message ? ` (${sentence(message)})` : '';
  switch (reason) {
    case 'PreemptionByScheduler':
      return `A pod of a higher priority has taken its place.${said}`;
    case 'DeletionByPodGC':
    case 'DeletionByTaintManager':
      return `Its machine is gone or does not answer any more.${said}`;
    case 'TerminationByKubelet':
      return `Its machine ended it: it is being shut down, or ran short.${said}`;
    default:
      return `It was evicted from its machine.${said}`;
  }
}

function lost(why: string): Failure {
  return { code: 'platform_error', message: `The instance was lost. ${why}` };
}

/** Why the model's process, or its runner's, has ended by itself. */
function deathOf(pod: Pod, said: SaidByRunner | undefined): Failure | null {
  const ended = modelOf(pod)?.state?.terminated;
  const wasReady = said?.readyAt != null;
  const code = wasReady ? 'platform_error' : 'setup_failed';
  const when = wasReady ? 'after it had been set up' : 'while it was being set up';
  if (ended?.reason === 'OOMKilled') {
    return { code, message: `The model was killed ${when}: it needs more memory than this hardware has.` };
  }
  if (ended && (ended.reason === 'StartError' || ended.reason === 'ContainerCannotRun')) {
    return { code: 'setup_failed', message: `The image cannot be started: ${sentence(ended.message)}` };
  }
  if (ended && said?.failure) return said.failure;
  if (ended) return { code, message: `The model's server ended with exit code ${ended.exitCode} ${when}.` };
  if (hasEnded(pod)) {
    return lost(`Kubernetes ended its pod: ${sentence(pod.status.message ?? pod.status.reason)}`);
  }
  return null;
}

const pullErrors = [
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
];

/** Why a pod's images will not come. */
function pullFailureOf({ pod, events, now }: Seen): Failure | null {
  for (const container of containersOf(pod)) {
    const { reason, message } = container.state?.waiting ?? {};
    if (reason === undefined || !pullErrors.includes(reason)) continue;
    const words = [message ?? '', ...events.filter((event) => event.reason === 'Failed').map(wordsOf)].join(
      '\n',
    );
    const since = conditionOf(pod.status.conditions, 'PodScheduled')?.lastTransitionTime;
    const isOld = now - (since ?? pod.metadata.creationTimestamp) > pullPatienceMs;
    const why = whyNotPulled(reason, words) ?? (isOld ? `cannot be pulled: ${sentence(message)}` : null);
    if (why === null) continue;
    return container.name === runnerContainer
      ? { code: 'platform_error', message: `The image of the platform's own runner ${why}` }
      : { code: 'image_unavailable', message: `The version's image ${why}` };
  }
  return null;
}

function whyNotPulled(reason: string, words: string): string | null {
  if (reason === 'InvalidImageName') return 'has a name that is none.';
  if (/no match(ing manifest)? for platform|exec format error/i.test(words)) {
    return 'was not built for linux/amd64, which machines of models are.';
  }
  if (/no space left on device/i.test(words)) return "is larger than its machine's disk.";
  if (/not found|manifest unknown|NotFound|name unknown/i.test(words))
    return 'is not in its registry (any more).';
  if (/denied|unauthorized|forbidden|insufficient_scope/i.test(words)) {
    return 'may not be pulled: its registry denies it to the machines of this cluster.';
  }
  return null;
}

/** What an instance waits for, in a sentence; undefined where its phase says all there is. */
function detailOf(seen: Seen): string | undefined {
  const phase = phaseOf(seen);
  if (phase === 'node') return nodeDetail(seen);
  return phase === 'image' ? imageDetail(seen) : undefined;
}

function nodeDetail({ pod, events }: Seen): string | undefined {
  const scaled = newest(events, [
    'TriggeredScaleUp',
    'NotTriggerScaleUp',
    'FailedScaleUp',
    'FailedToScaleUpGroup',
  ]);
  if (scaled?.reason === 'TriggeredScaleUp') return 'No machine has room for it yet; one is being started.';
  if (scaled) return `No machine has room for it, and none is started: ${whyNoMachine(wordsOf(scaled))}`;
  const scheduled = conditionOf(pod.status.conditions, 'PodScheduled');
  if (scheduled?.status !== 'False') return undefined;
  const words = (scheduled.message ?? '').replace(/\s*preemption:.*$/s, '');
  if (words.includes('no nodes available') || /^0\/0 /.test(words)) return 'There is no machine for it yet.';
  if (words.includes(`Insufficient ${gpuResource}`))
    return `No machine has a free GPU for it: ${sentence(words)}`;
  return `No machine has room for it: ${sentence(words)}`;
}

function whyNoMachine(words: string): string {
  if (/max node group size reached|max cluster .* limit/i.test(words)) {
    return 'as many run as may run (tiers.*.max of the stack).';
  }
  if (/in backoff/i.test(words)) return 'the last try failed, and another follows in some minutes.';
  return sentence(words.replace(/^pod didn't trigger scale-up( \([^)]*\))?:\s*/i, ''));
}

function imageDetail({ pod, events }: Seen): string | undefined {
  const waiting = containersOf(pod)
    .map(({ state }) => state?.waiting)
    .find((state) => state?.reason !== undefined && !passing.includes(state.reason));
  if (waiting) return `Its containers do not start yet: ${sentence(waiting.message ?? waiting.reason)}`;
  const last = newest(events, ['Pulling', 'Pulled', 'FailedMount', 'FailedCreatePodSandBox']);
  if (last?.reason === 'Pulling') return 'Its image is being pulled.';
  if (last && last.reason !== 'Pulled') return `Its containers do not start yet: ${sentence(wordsOf(last))}`;
  return undefined;
}

/** Reasons that say nothing but that a container has not begun. */
const passing = ['ContainerCreating', 'PodInitializing'];

/** Why nothing more is to be expected of a machine; undefined where it is well. @param now epoch ms */
export function machineTroubleOf(node: Node, now: number): string | undefined {
  const { name } = node.metadata;
  const { conditions } = node.status;
  const ready = conditionOf(conditions, 'Ready');
  const gpu = conditionOf(conditions, 'AcceleratedHardwareReady');
  if (ready?.status === 'Unknown')
    return `The instance was lost. Its machine ${name} does not answer any more.`;
  if (ready?.status === 'False' && now - (ready.lastTransitionTime ?? now) > notReadyMs) {
    return `The instance was lost. Its machine ${name} is not ready: ${sentence(ready.message)}`;
  }
  // What EKS's node monitoring says, by the errors of NVIDIA's driver (Xid).
  if (gpu?.status === 'False') {
    const why = sentence(gpu.message ?? gpu.reason);
    return `The instance was lost. A GPU of its machine ${name} has failed: ${why}`;
  }
  return undefined;
}

function modelOf(pod: Pod): Container | undefined {
  return pod.status.containerStatuses?.find(({ name }) => name === modelContainer);
}

function containersOf(pod: Pod): readonly Container[] {
  return [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])];
}

function conditionOf(
  conditions: readonly Condition[] | null | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

function newest(events: readonly PodEvent[], reasons: readonly string[]): PodEvent | undefined {
  return events
    .filter(({ reason }) => reasons.includes(reason))
    .sort((a, b) => timeOf(a) - timeOf(b))
    .at(-1);
}

/** When it happened last, epoch ms. */
export function timeOf(event: PodEvent): number {
  return event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? 0;
}

function wordsOf({ message, reason }: PodEvent): string {
  return message ?? reason;
}

const longestQuote = 300;

/** What Kubernetes says, in one line that ends in a full stop. */
function sentence(words: string | null | undefined): string {
  const line = (words ?? '').replace(/\s+/g, ' ').trim();
  if (line === '') return 'it gave no reason.';
  const short = line.length > longestQuote ? `${line.slice(0, longestQuote)}…` : line;
  return /[.!?…]$/.test(short) ? short : `${short}.`;
}
