import { beforeAll, describe, expect, it } from 'vitest';
import { parseDirectorEnv } from '../../../services/director/env.ts';
import { configOf, Resources, recordCapacity } from './capacity.ts';

let resources: Resources;
let withoutInternet: Resources;
let result: Awaited<ReturnType<typeof recordCapacity>>['result'];

beforeAll(async () => {
  const recording = await recordCapacity(
    configOf({
      tiers: { cpu: { max: 3 }, 'gpu-t4': { max: 2 }, 'gpu-a100-small': { max: 2 } },
      models: { maxInstances: 12, idleSeconds: 90, setupTimeoutSeconds: 700 },
    }),
    'http://api.mimeo-dev.internal:8080',
  );
  resources = new Resources(recording.resources);
  result = recording.result;
  const plain = configOf({
    network: { nat: 'single' },
    tiers: { cpu: { max: 1 } },
    api: { domain: 'mimeo.example.com', hostedZoneId: 'Z0123456789ABC' },
    models: { internet: false },
  });
  withoutInternet = new Resources((await recordCapacity(plain)).resources);
});

interface PodSpec {
  readonly containers: readonly Container[];
  readonly tolerations?: readonly { readonly key: string }[];
  readonly volumes?: readonly object[];
  readonly securityContext?: object;
}
interface Container {
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly securityContext: object;
}

function podOf(name: string): PodSpec {
  const { spec } = resources.named(name).inputs as { spec: { template: { spec: PodSpec } } };
  return spec.template.spec;
}

function containerOf(name: string): Container {
  const [container] = podOf(name).containers;
  if (!container) throw new Error(`${name} has no container`);
  return container;
}

describe('everything in the cluster', () => {
  it('is made by its provider', () => {
    const objects = resources.all.filter(({ type }) => type.startsWith('kubernetes:'));
    const early = ['cluster-system-egress', 'cluster-dns-ingress'];

    for (const { name, provider } of objects) {
      const expected = early.includes(name) ? 'cluster-admission' : 'cluster-kubernetes';
      expect(provider, name).toContain(`::${expected}::`);
    }
    expect(objects.length).toBeGreaterThan(30);
  });

  it('comes after the namespace that it is in', () => {
    const namespaces = ['in-cluster-system', 'in-cluster-models-namespace'];
    const inside = resources.all.filter(({ type, inputs }) => {
      const { metadata } = inputs as { metadata?: { namespace?: string } };
      return type.startsWith('kubernetes:') && metadata?.namespace?.startsWith('mimeo');
    });

    expect(inside.length).toBeGreaterThan(15);
    for (const { name } of inside) {
      expect(
        namespaces.some((namespace) => resources.behind(name).includes(namespace)),
        name,
      ).toBe(true);
    }
  });
});

describe('the namespace of models', () => {
  it('takes pods of the baseline, under our own rules', () => {
    expect(result.namespace).toBe('mimeo-models');
    expect(resources.named('in-cluster-models-namespace').inputs).toMatchObject({
      metadata: {
        name: 'mimeo-models',
        labels: { 'mimeo.dev/models': 'true', 'pod-security.kubernetes.io/enforce': 'baseline' },
      },
    });
    expect(resources.named('in-cluster-models-rules').inputs).toMatchObject({
      spec: { failurePolicy: 'Fail', validations: expect.any(Array) },
    });
    expect(resources.named('in-cluster-models-rules-binding').inputs).toMatchObject({
      spec: {
        policyName: 'mimeo-models',
        validationActions: ['Deny'],
        matchResources: { namespaceSelector: { matchLabels: { 'mimeo.dev/models': 'true' } } },
      },
    });
    expect(resources.named('in-cluster-models-namespace').dependencies).toContain(
      resources.named('in-cluster-models-rules-binding').urn,
    );
  });

  it('denies all traffic, but for what a policy of its own names', () => {
    expect(resources.named('in-cluster-models-deny-all').inputs.spec).toEqual({
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
    });
    const egress = (of: Resources) =>
      of.named('in-cluster-models-egress').inputs.spec as { egress: unknown[] };
    expect(egress(resources).egress).toHaveLength(3);
    expect(egress(resources).egress[1]).toEqual({
      to: [{ ipBlock: { cidr: '10.40.0.0/16' } }],
      ports: [{ protocol: 'TCP', port: 8080 }],
    });
    expect(egress(withoutInternet).egress).toHaveLength(2);
  });

  it.each([
    ['cpu', '3', 'one of 4 vCPUs on each of 3 machines'],
    ['gpu-t4', '2', 'one on each of 2 machines'],
    ['gpu-a100-small', '16', 'eight on each of 2 machines'],
  ])('takes as many pods on %s as its machines hold: %s, %s', (sku, pods) => {
    expect(resources.named(`in-cluster-models-quota-${sku}`).inputs.spec).toEqual({
      hard: { pods },
      scopeSelector: {
        matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: [`mimeo-${sku}`] }],
      },
    });
    expect(resources.named(`in-cluster-models-priority-${sku}`).inputs).toMatchObject({
      metadata: { name: `mimeo-${sku}` },
      preemptionPolicy: 'Never',
    });
  });

  it('takes as many in all as is configured, and GPUs as there are', () => {
    expect(resources.named('in-cluster-models-quota').inputs.spec).toEqual({
      hard: { pods: '12', 'requests.nvidia.com/gpu': '18' },
    });
  });
});

describe("NVIDIA's device plugin", () => {
  it('runs on machines with GPUs, past their taints', () => {
    expect(podOf('in-cluster-device-plugin-daemon').tolerations?.map(({ key }) => key)).toEqual([
      'mimeo.dev/models',
      'nvidia.com/gpu',
    ]);
    expect(JSON.stringify(podOf('in-cluster-device-plugin-daemon'))).toContain(
      'k8s.amazonaws.com/accelerator',
    );
    expect(containerOf('in-cluster-device-plugin-daemon').image).toMatch(/:v\d+\.\d+\.\d+$/);
  });

  it('is not there where no tier has one', () => {
    expect(withoutInternet.has('in-cluster-device-plugin-daemon')).toBe(false);
  });
});

describe('the autoscaler', () => {
  it('is of the minor version of the cluster, and looks after the groups of this cluster', () => {
    const { image, args } = containerOf('in-cluster-autoscaler-deployment');

    expect(image).toMatch(/^registry\.k8s\.io\/autoscaling\/cluster-autoscaler:v1\.36\.\d+$/);
    expect(args).toContain(
      '--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/mimeo-dev',
    );
  });

  it('may change the groups of this cluster alone, and look at the rest', () => {
    const [policy] = resources
      .ofType('aws:iam/rolePolicy:RolePolicy')
      .filter(({ name }) => name.startsWith('in-cluster-autoscaler'));
    const { Statement: statements } = JSON.parse(String(policy?.inputs.policy)) as {
      readonly Statement: readonly {
        Action: string[];
        Resource: string[];
        Condition?: object;
        Sid?: string;
      }[];
    };

    const [change, group, look] = statements;
    expect(change?.Action).toEqual([
      'autoscaling:SetDesiredCapacity',
      'autoscaling:TerminateInstanceInAutoScalingGroup',
    ]);
    expect(change?.Condition).toEqual({
      StringEquals: { 'aws:ResourceTag/k8s.io/cluster-autoscaler/mimeo-dev': 'owned' },
    });
    expect(group?.Resource).toEqual(['arn:aws:eks:us-east-1:123456789012:nodegroup/mimeo-dev/*/*']);
    expect(look?.Resource).toEqual(['*']);
    expect(look?.Sid).toMatch(/^\w+$/);
    for (const action of look?.Action ?? []) expect(action).toMatch(/^\w+:(Describe|Get)\w+$/);
  });

  it('gets its role by its ServiceAccount, before it starts', () => {
    const identity = resources.named('in-cluster-autoscaler-identity');

    expect(identity.inputs).toMatchObject({
      clusterName: 'mimeo-dev',
      namespace: 'mimeo',
      serviceAccount: 'cluster-autoscaler',
    });
    expect(resources.named('in-cluster-autoscaler-deployment').dependencies).toContain(identity.urn);
  });
});

describe('the director', () => {
  it('is there once, and twice while one takes over from the other', () => {
    expect(resources.named('in-cluster-director-deployment').inputs.spec).toMatchObject({
      replicas: 1,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    });
  });

  it('is told what it needs, and proves itself by a token made out to this platform', () => {
    const { env, image } = containerOf('in-cluster-director-deployment');

    expect(image).toBe(`registry.example.com/director@sha256:${'d'.repeat(64)}`);
    expect(Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]))).toEqual({
      MIMEO_URL: 'http://api.mimeo-dev.internal:8080',
      MIMEO_DIRECTOR_TOKEN_FILE: '/var/run/secrets/mimeo/token',
      MIMEO_FLEET: 'kubernetes',
      MIMEO_RUNNER_IMAGE: `registry.example.com/runner@sha256:${'e'.repeat(64)}`,
      MIMEO_MACHINES: expect.stringMatching(/^\{"cpu":\{"cpuMillis":\d+,/),
      MIMEO_MAX_INSTANCES: '12',
      MIMEO_IDLE_SECONDS: '90',
      MIMEO_SETUP_TIMEOUT_SECONDS: '700',
      MIMEO_LOG_LEVEL: 'info',
    });
    expect(podOf('in-cluster-director-deployment').volumes).toContainEqual({
      name: 'token',
      projected: {
        sources: [{ serviceAccountToken: { path: 'token', audience: 'mimeo', expirationSeconds: 3600 } }],
      },
    });
  });

  it('takes a share of each tier that as many instances as its quota counts fit on a machine by', () => {
    const { env } = containerOf('in-cluster-director-deployment');
    const given = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));

    const { MIMEO_MACHINES: machines } = parseDirectorEnv(given);

    expect(machines).toEqual({
      // One each of m6i.xlarge's 3920m and 14162Mi, and of g4dn.xlarge's 3920m and 14481Mi, less 250m and 512Mi.
      cpu: { cpuMillis: 3670, memoryMib: 13_650, ephemeralMib: 69_632, gpus: 0 },
      'gpu-t4': { cpuMillis: 3670, memoryMib: 13_969, ephemeralMib: 69_632, gpus: 1 },
      // One of eight.
      'gpu-a100-small': expect.objectContaining({ gpus: 1 }),
    });
    expect(machines?.['gpu-a100-small']?.cpuMillis).toBeLessThan(96_000 / 8);
  });

  it('changes nothing outside the namespace of models but its Lease, and knows no secret', () => {
    const rules = (role: string) =>
      (
        resources.named(`in-cluster-director-${role}-role`).inputs as {
          rules: readonly { resources: string[]; verbs: string[] }[];
        }
      ).rules;

    expect(resources.named('in-cluster-director-models-role').inputs.metadata).toMatchObject({
      namespace: 'mimeo-models',
    });
    expect(rules('models').map(({ resources: [resource], verbs }) => [resource, verbs])).toEqual([
      ['pods', ['create', 'get', 'list', 'watch', 'patch', 'delete']],
      ['configmaps', ['create', 'get', 'patch', 'delete']],
      ['events', ['get', 'list', 'watch']],
    ]);
    expect(rules('leases').map(({ resources: [resource], verbs }) => [resource, verbs])).toEqual([
      ['leases', ['create', 'get', 'update']],
    ]);
    expect(rules('nodes')).toEqual([
      { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] },
    ]);
    expect(resources.named('in-cluster-director-models-binding').inputs.subjects).toEqual([
      { kind: 'ServiceAccount', name: 'director', namespace: 'mimeo' },
    ]);
  });
});

it.each(['in-cluster-director-deployment', 'in-cluster-autoscaler-deployment'])(
  '%s runs on the small arm64 machines, with nothing that it does not need',
  (name) => {
    expect(podOf(name)).toMatchObject({
      nodeSelector: { 'mimeo.dev/system': 'true', 'kubernetes.io/arch': 'arm64' },
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(containerOf(name).securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  },
);
