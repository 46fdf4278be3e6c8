import { describe, expect, it } from 'vitest';
import type { Instance } from '../../services/core/pool.ts';
import {
  eventSchema,
  instanceOf,
  machineTroubleOf,
  nodeSchema,
  podSchema,
  type SaidByRunner,
  type Seen,
} from '../../services/ports/fleet/pod-state.ts';

const createdAt = Date.parse('2026-11-22T10:00:00Z');
const now = createdAt + 60_000;
const pool = { id: 'local/echo:v@gpu-t4' };

interface Given {
  readonly status?: object;
  readonly node?: string;
  readonly annotations?: Record<string, string>;
  readonly deletionTimestamp?: string;
  readonly events?: readonly (readonly [reason: string, message: string])[];
  readonly said?: Partial<SaidByRunner>;
  readonly machineTrouble?: string;
  readonly now?: number;
}

/** What becomes of a pod as the API server would tell it. */
function see(given: Given): Instance {
  const { annotations, deletionTimestamp } = given;
  const pod = podSchema.parse({
    metadata: {
      name: 'm-1',
      uid: 'u',
      creationTimestamp: '2026-11-22T10:00:00Z',
      annotations,
      deletionTimestamp,
    },
    spec: { nodeName: given.node },
    status: given.status ?? { phase: 'Pending' },
  });
  const events = (given.events ?? []).map(([reason, message], at) =>
    eventSchema.parse({
      metadata: { name: `e${at}`, creationTimestamp: `2026-11-22T10:00:0${at}Z` },
      involvedObject: { name: 'm-1' },
      reason,
      message,
      lastTimestamp: null,
      eventTime: null,
    }),
  );
  const seen: Seen = {
    pod,
    events,
    machineTrouble: given.machineTrouble,
    said: given.said && { ...silent, ...given.said },
    isLeaving: false,
    now: given.now ?? now,
  };
  return instanceOf(pool, seen);
}

const silent: SaidByRunner = {
  phase: 'setup',
  readyAt: null,
  running: 0,
  idleSince: null,
  failure: null,
  setupLogs: '',
  broken: null,
  receivedAt: now,
};

function unschedulable(message: string): object {
  return {
    phase: 'Pending',
    conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
  };
}

function waiting(reason: string, message?: string, name = 'model'): object {
  const container = { name, state: { waiting: { reason, message } } };
  const key = name === 'runner' ? 'initContainerStatuses' : 'containerStatuses';
  const conditions = [{ type: 'PodScheduled', status: 'True', lastTransitionTime: '2026-11-22T10:00:00Z' }];
  return { phase: 'Pending', conditions, [key]: [container] };
}

const running = {
  phase: 'Running',
  initContainerStatuses: [{ name: 'runner', state: { running: { startedAt: '2026-11-22T10:00:10Z' } } }],
  containerStatuses: [{ name: 'model', state: { running: { startedAt: '2026-11-22T10:00:10Z' } } }],
};

function ended(terminated: object): object {
  return { phase: 'Running', containerStatuses: [{ name: 'model', state: { terminated } }] };
}

const noGpu =
  '0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) had untolerated taint {mimeo.dev/system: true}. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.';

describe('while it starts', () => {
  it.each<[string, Given, Instance['phase'], string | undefined]>([
    ['nothing is known yet', {}, 'node', undefined],
    [
      'there is no machine',
      { status: unschedulable('no nodes available to schedule pods') },
      'node',
      'There is no machine for it yet.',
    ],
    [
      'no GPU is free',
      { status: unschedulable(noGpu) },
      'node',
      'No machine has a free GPU for it: 0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) had untolerated taint {mimeo.dev/system: true}.',
    ],
    [
      'a machine is being started',
      {
        status: unschedulable(noGpu),
        events: [
          ['NotTriggerScaleUp', "pod didn't trigger scale-up: 1 in backoff after failed scale-up"],
          ['TriggeredScaleUp', 'pod triggered scale-up: [{eks-gpu-t4 0->1 (max: 2)}]'],
        ],
      },
      'node',
      'No machine has room for it yet; one is being started.',
    ],
    [
      'as many machines run as may',
      {
        status: unschedulable(noGpu),
        events: [['NotTriggerScaleUp', "pod didn't trigger scale-up: 1 max node group size reached"]],
      },
      'node',
      'No machine has room for it, and none is started: as many run as may run (tiers.*.max of the stack).',
    ],
    [
      'AWS had no machine',
      {
        status: unschedulable(noGpu),
        events: [['NotTriggerScaleUp', "pod didn't trigger scale-up: 1 in backoff after failed scale-up"]],
      },
      'node',
      'No machine has room for it, and none is started: the last try failed, and another follows in some minutes.',
    ],
    ['it has its machine', { node: 'n', status: waiting('ContainerCreating') }, 'image', undefined],
    [
      'its image comes',
      { node: 'n', status: waiting('PodInitializing'), events: [['Pulling', 'Pulling image "x"']] },
      'image',
      'Its image is being pulled.',
    ],
    [
      'a pull failed that may well pass',
      { node: 'n', status: waiting('ErrImagePull', 'dial tcp 10.0.0.2:443: i/o timeout') },
      'image',
      'Its containers do not start yet: dial tcp 10.0.0.2:443: i/o timeout.',
    ],
    [
      'a volume does not come',
      {
        node: 'n',
        status: waiting('ContainerCreating'),
        events: [['FailedMount', 'MountVolume.SetUp failed for volume "token"']],
      },
      'image',
      'Its containers do not start yet: MountVolume.SetUp failed for volume "token".',
    ],
    ['its model runs', { node: 'n', status: running }, 'setup', undefined],
    ['its runner says so', { node: 'n', status: running, said: { phase: 'setup' } }, 'setup', undefined],
  ])('%s', (_, given, phase, detail) => {
    const instance = see(given);

    expect(instance).toMatchObject({
      phase,
      startedAt: createdAt,
      readyAt: null,
      failure: null,
      idleSince: null,
    });
    expect(instance.detail).toBe(detail);
  });
});

describe('by what its runner says', () => {
  it('it is ready, and idle once that is known', () => {
    const readyAt = now - 2000;
    const fresh = { phase: 'ready', readyAt, idleSince: readyAt, receivedAt: readyAt + 100 } as const;

    expect(see({ node: 'n', status: running, said: fresh })).toMatchObject({
      phase: 'ready',
      readyAt,
      idleSince: null,
    });
    expect(see({ node: 'n', status: running, said: { ...fresh, receivedAt: readyAt + 5000 } })).toMatchObject(
      {
        phase: 'ready',
        idleSince: readyAt,
      },
    );
    expect(
      see({ node: 'n', status: running, said: { ...fresh, idleSince: null, running: 2 } }),
    ).toMatchObject({
      phase: 'ready',
      running: 2,
      idleSince: null,
    });
  });

  it.each<[string, Given]>([
    ['its runner drains', { said: { phase: 'draining', readyAt: now } }],
    ['its runner has drained', { said: { phase: 'drained', readyAt: now } }],
    [
      'its server is of no more use',
      { said: { phase: 'ready', readyAt: now, broken: 'a run would not end' } },
    ],
    ['it was told to', { said: { phase: 'ready', readyAt: now }, annotations: { 'mimeo.dev/drain': '1' } }],
    ['somebody deletes its pod', { deletionTimestamp: '2026-11-22T10:01:00Z' }],
  ])('it is leaving where %s', (_, given) => {
    expect(see({ node: 'n', status: running, ...given })).toMatchObject({
      phase: 'draining',
      failure: null,
      idleSince: null,
    });
  });

  it('its setup has failed, with its log', () => {
    const failure = { code: 'setup_timed_out', message: 'Setup took longer than 1 s.' } as const;
    const said = { phase: 'failed', failure, setupLogs: 'loading' } as const;

    expect(see({ node: 'n', status: running, said })).toMatchObject({
      phase: 'failed',
      failure,
      setupLogs: 'loading',
      running: 0,
    });
  });
});

describe('it has failed where', () => {
  it.each<[string, Given, string, string]>([
    [
      'its image is not there',
      {
        status: waiting(
          'ImagePullBackOff',
          'Back-off pulling image "x": ErrImagePull: rpc error: code = NotFound desc = failed to pull',
        ),
      },
      'image_unavailable',
      "The version's image is not in its registry (any more).",
    ],
    [
      'only an event says that its image is not there',
      {
        status: waiting('ImagePullBackOff', 'Back-off pulling image "x"'),
        events: [['Failed', 'Failed to pull image "x": manifest unknown']],
      },
      'image_unavailable',
      "The version's image is not in its registry (any more).",
    ],
    [
      'its image is denied',
      { status: waiting('ErrImagePull', 'pull access: 403 Forbidden: not authorized, denied') },
      'image_unavailable',
      "The version's image may not be pulled: its registry denies it to the machines of this cluster.",
    ],
    [
      'its image is too large',
      { status: waiting('ErrImagePull', 'write /var/lib/containerd: no space left on device') },
      'image_unavailable',
      "The version's image is larger than its machine's disk.",
    ],
    [
      'its image is for other machines',
      { status: waiting('ErrImagePull', 'no match for platform in manifest: not found') },
      'image_unavailable',
      "The version's image was not built for linux/amd64, which machines of models are.",
    ],
    [
      'its image has no name',
      { status: waiting('InvalidImageName', 'invalid reference format') },
      'image_unavailable',
      "The version's image has a name that is none.",
    ],
    [
      'its image would not come for a quarter of an hour',
      { status: waiting('ImagePullBackOff', 'dial tcp: i/o timeout'), now: createdAt + 16 * 60_000 },
      'image_unavailable',
      "The version's image cannot be pulled: dial tcp: i/o timeout.",
    ],
    [
      'the image of the runner is not there',
      { status: waiting('ErrImagePull', 'not found', 'runner') },
      'platform_error',
      "The image of the platform's own runner is not in its registry (any more).",
    ],
    [
      'its model needs too much memory to be set up',
      {
        status: ended({ exitCode: 137, reason: 'OOMKilled' }),
        said: { phase: 'failed', failure: { code: 'setup_failed', message: 'The server ended.' } },
      },
      'setup_failed',
      'The model was killed while it was being set up: it needs more memory than this hardware has.',
    ],
    [
      'its server ends',
      { status: ended({ exitCode: 3, reason: 'Error' }) },
      'setup_failed',
      "The model's server ended with exit code 3 while it was being set up.",
    ],
    [
      'its image has no Python',
      {
        status: ended({
          exitCode: 128,
          reason: 'StartError',
          message: 'exec: "python": executable file not found in $PATH',
        }),
      },
      'setup_failed',
      'The image cannot be started: exec: "python": executable file not found in $PATH.',
    ],
    [
      'its machine runs short',
      { status: { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' } },
      'platform_error',
      'The instance was lost. Its machine ran short and evicted it. (The node was low on resource: memory.)',
    ],
    [
      'it writes too much',
      {
        status: {
          phase: 'Failed',
          reason: 'Evicted',
          message: 'Usage of EmptyDir volume "runs" exceeds the limit "10Gi".',
        },
      },
      'setup_failed',
      'The instance wrote more to its disk than it may. (Usage of EmptyDir volume "runs" exceeds the limit "10Gi".)',
    ],
    [
      'its GPU is gone',
      {
        status: {
          phase: 'Failed',
          reason: 'UnexpectedAdmissionError',
          message:
            'Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu',
        },
      },
      'platform_error',
      'The instance was lost. Its machine has no working GPU for it. (Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu.)',
    ],
    [
      'its spot machine is taken back',
      {
        status: {
          phase: 'Failed',
          reason: 'Terminated',
          message: 'Pod was terminated in response to imminent node shutdown.',
        },
      },
      'platform_error',
      'The instance was lost. Its machine is being shut down, as spot machines are when somebody else pays more. (Pod was terminated in response to imminent node shutdown.)',
    ],
    [
      'its place is taken',
      {
        status: {
          phase: 'Failed',
          conditions: [
            {
              type: 'DisruptionTarget',
              status: 'True',
              reason: 'PreemptionByScheduler',
              message: 'preempting to accommodate a higher priority pod',
            },
          ],
        },
      },
      'platform_error',
      'The instance was lost. A pod of a higher priority has taken its place. (preempting to accommodate a higher priority pod.)',
    ],
    [
      'its machine is deleted',
      {
        status: {
          phase: 'Failed',
          conditions: [
            {
              type: 'DisruptionTarget',
              status: 'True',
              reason: 'DeletionByPodGC',
              message: 'PodGC: node no longer exists',
            },
          ],
        },
      },
      'platform_error',
      'The instance was lost. Its machine is gone or does not answer any more. (PodGC: node no longer exists.)',
    ],
    [
      'its machine is of no more use',
      { status: running, machineTrouble: 'The instance was lost. Its machine n is gone.' },
      'platform_error',
      'The instance was lost. Its machine n is gone.',
    ],
  ])('%s', (_, given, code, message) => {
    expect(see({ node: 'n', ...given })).toMatchObject({ phase: 'failed', failure: { code, message } });
  });
});

describe('a machine', () => {
  const node = (condition: object) =>
    nodeSchema.parse({ metadata: { name: 'n' }, status: { conditions: [condition] } });

  it.each<[string, object, string | undefined]>([
    ['that is ready is well', { type: 'Ready', status: 'True' }, undefined],
    [
      'that was not ready for a moment is well',
      {
        type: 'Ready',
        status: 'False',
        message: 'PLEG',
        lastTransitionTime: new Date(now - 30_000).toISOString(),
      },
      undefined,
    ],
    [
      'that is not ready for long is lost',
      {
        type: 'Ready',
        status: 'False',
        message: 'PLEG is not healthy',
        lastTransitionTime: new Date(now - 61_000).toISOString(),
      },
      'The instance was lost. Its machine n is not ready: PLEG is not healthy.',
    ],
    [
      'that does not answer is lost',
      { type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown' },
      'The instance was lost. Its machine n does not answer any more.',
    ],
    [
      'whose GPU has failed is lost',
      {
        type: 'AcceleratedHardwareReady',
        status: 'False',
        reason: 'NvidiaXID79Error',
        message: 'GPU has fallen off the bus',
      },
      'The instance was lost. A GPU of its machine n has failed: GPU has fallen off the bus.',
    ],
  ])('%s', (_, condition, trouble) => {
    expect(machineTroubleOf(node(condition), now)).toBe(trouble);
  });
});
