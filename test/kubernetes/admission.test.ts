import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configOf, recordCapacity } from '../infra/components/capacity.ts';
import { type KubernetesApi, type KubernetesObject, startKubernetesApi } from '../support/kubernetes-api.ts';

let api: KubernetesApi;
let objects: readonly KubernetesObject[];

const first = ['Namespace', 'PriorityClass', 'ServiceAccount'];

beforeAll(async () => {
  const { resources } = await recordCapacity(configOf());
  const made = resources
    .filter(({ type }) => type.startsWith('kubernetes:'))
    .map(({ inputs }) => inputs as unknown as KubernetesObject);
  objects = [
    ...first.flatMap((kind) => made.filter((object) => object.kind === kind)),
    ...made.filter(({ kind }) => !first.includes(kind)),
  ];
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

/** A pod as the director makes it. */
function modelPod() {
  const container = (name: string, volume: string): Container => ({
    name,
    image: name,
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    volumeMounts: [{ name: volume, mountPath: `/${volume}` }],
  });
  const token: { path: string; audience?: string } = { path: 'token', audience: 'mimeo' };
  const model = container('model', 'work');
  const runner = container('runner', 'token');
  const spec: Record<string, unknown> & { nodeSelector: Record<string, string>; volumes: object[] } = {
    serviceAccountName: 'default',
    automountServiceAccountToken: false,
    priorityClassName: 'mimeo-cpu',
    nodeSelector: { 'mimeo.dev/sku': 'cpu' },
    securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    initContainers: [{ ...runner, restartPolicy: 'Always' }],
    containers: [model],
    volumes: [
      { name: 'work', emptyDir: {} },
      { name: 'token', projected: { sources: [{ serviceAccountToken: token }] } },
    ],
  };
  return { spec, model, token };
}
type ModelPod = ReturnType<typeof modelPod>;

/** What the API server says of such a pod with a change. */
async function create(change: (pod: ModelPod) => void): Promise<string> {
  const pod = modelPod();
  change(pod);
  const body = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'model-', namespace: 'mimeo-models' },
    spec: pod.spec,
  };
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
