import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podName } from '../../services/core/kubernetes-names.ts';
import { podOf } from '../../services/ports/fleet/pod-spec.ts';
import { type KubernetesApi, type KubernetesObject, startKubernetesApi } from '../support/kubernetes-api.ts';
import { podSettings, somePool } from './pod-world.ts';
import { stackObjects } from './stack-objects.ts';

let api: KubernetesApi;
let objects: readonly KubernetesObject[];

beforeAll(async () => {
  objects = await stackObjects();
  api = await startKubernetesApi();
});
afterAll(async () => api.stop());

interface Container {
  name: string;
  image: string;
  securityContext?: { capabilities?: { drop?: string[]; add?: string[] }; [name: string]: unknown };
  volumeMounts?: object[];
  [name: string]: unknown;
}

/** What tests change of a pod. */
interface Spec extends Record<string, unknown> {
  readonly containers: readonly [Container];
  readonly nodeSelector: Record<string, string>;
  readonly volumes: object[];
}

/** A pod as the director makes it. */
function modelPod() {
  const pool = somePool();
  const manifest = podOf(pool, podName(pool.id, '01234567'), { owner: 'u', uploadPath: 'p' }, podSettings);
  const { spec, metadata } = structuredClone(manifest) as unknown as { spec: Spec; metadata: object };
  const [model] = spec.containers;
  const [projected] = spec.volumes as [{ projected: { sources: [{ serviceAccountToken: Token }] } }];
  return { metadata, spec, model, token: projected.projected.sources[0].serviceAccountToken };
}
interface Token {
  path: string;
  audience?: string;
}
type ModelPod = ReturnType<typeof modelPod>;

/** What the API server says of such a pod with a change. */
async function create(change: (pod: ModelPod) => void): Promise<string> {
  const pod = modelPod();
  change(pod);
  const body = { apiVersion: 'v1', kind: 'Pod', metadata: pod.metadata, spec: pod.spec };
  return await api.request('POST', '/api/v1/namespaces/mimeo-models/pods?dryRun=All', body).then(
    () => 'created',
    (error: unknown) => String(error),
  );
}

describe('on a real API server', () => {
  it('every object of the program is taken', async () => {
    for (const object of objects) await api.apply([object]);

    expect(objects.length).toBeGreaterThan(30);
    // The server takes up new rules a moment after they are there.
    await expect
      .poll(async () => await create(({ model }) => void delete model.securityContext?.capabilities))
      .toContain('Every container drops ALL capabilities.');
  });

  it("a model's pod as the director makes it is taken", async () => {
    expect(await create(() => {})).toBe('created');
  });

  it.each<[string, (pod: ModelPod) => void, string]>([
    ['keeps capabilities', ({ model }) => void delete model.securityContext, 'drops ALL capabilities'],
    [
      'adds a capability',
      ({ model }) => void Object.assign(model.securityContext?.capabilities ?? {}, { add: ['CHOWN'] }),
      'No container adds a capability',
    ],
    [
      'may gain privileges',
      ({ model }) => void delete model.securityContext?.allowPrivilegeEscalation,
      'allowPrivilegeEscalation: false',
    ],
    ['has no seccomp profile', ({ spec }) => void delete spec.securityContext, 'seccomp profile is'],
    [
      "shares its machine's network",
      ({ spec }) => void Object.assign(spec, { hostNetwork: true }),
      'hostNetwork',
    ],
    [
      "listens on its machine's port",
      ({ model }) => void Object.assign(model, { ports: [{ containerPort: 80, hostPort: 80 }] }),
      'hostPort',
    ],
    [
      "mounts its machine's files",
      ({ spec }) => void spec.volumes.push({ name: 'root', hostPath: { path: '/' } }),
      'hostPath',
    ],
    [
      'mounts a disk',
      ({ spec }) => void spec.volumes.push({ name: 'disk', persistentVolumeClaim: { claimName: 'x' } }),
      'Volumes are of the kinds',
    ],
    [
      'gets a token of the API server',
      ({ spec }) => void delete spec.automountServiceAccountToken,
      'automountServiceAccountToken: false',
    ],
    ['has a token for the API server', ({ token }) => void delete token.audience, 'made out to mimeo'],
    [
      'shows its token to the model',
      ({ model }) => void model.volumeMounts?.push({ name: 'token', mountPath: '/token' }),
      'Only the container runner sees',
    ],
    ['has no priority class', ({ spec }) => void delete spec.priorityClassName, 'names its SKU'],
    [
      'runs on another SKU than it counts for',
      ({ spec }) => void Object.assign(spec.nodeSelector, { 'mimeo.dev/sku': 'gpu-t4' }),
      'names its SKU',
    ],
  ])('one that %s is refused', async (_, change, message) => {
    expect(await create(change)).toContain(message);
  });
});
