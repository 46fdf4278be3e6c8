import { beforeAll, describe, expect, it } from 'vitest';
import { administratorRole } from '../../../infra/components/cluster-access.ts';
import { configOf, Resources, recordCapacity, runner } from './capacity.ts';

const platform = 'arn:aws:iam::123456789012:role/platform';
let dev: Resources;
let prod: Resources;
let result: Awaited<ReturnType<typeof recordCapacity>>['result'];

beforeAll(async () => {
  const recording = await recordCapacity(configOf());
  dev = new Resources(recording.resources);
  result = recording.result;
  const settings = configOf({
    cluster: { endpoint: 'private', administrators: [platform], logs: ['api', 'audit'] },
    protection: { deletion: true },
  });
  prod = new Resources((await recordCapacity(settings)).resources);
});

describe('the control plane', () => {
  const controlPlane = (resources: Resources) => resources.ofType('aws:eks/cluster:Cluster')[0]?.inputs;

  it('is entered by access entries alone, and stays in standard support', () => {
    expect(controlPlane(dev)).toMatchObject({
      name: 'mimeo-dev',
      version: '1.36',
      accessConfig: { authenticationMode: 'API', bootstrapClusterCreatorAdminPermissions: false },
      bootstrapSelfManagedAddons: false,
      deletionProtection: false,
      upgradePolicy: { supportType: 'STANDARD' },
      kubernetesNetworkConfig: { serviceIpv4Cidr: '172.20.0.0/16' },
      encryptionConfig: { resources: ['secrets'] },
      vpcConfig: {
        endpointPrivateAccess: true,
        endpointPublicAccess: true,
        publicAccessCidrs: ['203.0.113.7/32'],
      },
    });
    expect(dev.named('cluster-secrets-key').inputs).toMatchObject({ enableKeyRotation: true });
  });

  it('is reached from inside the VPC alone, and protected, where that is said', () => {
    expect(controlPlane(prod)).toMatchObject({
      deletionProtection: true,
      vpcConfig: { endpointPrivateAccess: true, endpointPublicAccess: false },
      enabledClusterLogTypes: ['api', 'audit'],
    });
    expect(controlPlane(prod)?.vpcConfig).not.toHaveProperty('publicAccessCidrs');
  });

  it('finds its log group made, which does not keep logs for ever', () => {
    expect(prod.named('cluster-logs').inputs).toEqual(
      expect.objectContaining({ name: '/aws/eks/mimeo-dev/cluster', retentionInDays: 14 }),
    );
    const [cluster] = prod.ofType('aws:eks/cluster:Cluster');
    expect(cluster?.dependencies).toContain(prod.named('cluster-logs').urn);
    expect(dev.has('cluster-logs')).toBe(false);
  });
});

describe('administrators', () => {
  it('are whoever runs the program, and those that are named', () => {
    const principals = prod
      .ofType('aws:eks/accessEntry:AccessEntry')
      .map(({ inputs }) => inputs.principalArn);

    expect(principals.toSorted()).toEqual([platform, runner]);
    const policies = prod.ofType('aws:eks/accessPolicyAssociation:AccessPolicyAssociation');
    expect(policies.map(({ inputs }) => inputs.policyArn)).toEqual(
      principals.map(() => 'arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy'),
    );
  });
});

describe('add-ons', () => {
  it('keep pods from the network until their policies hold', () => {
    expect(JSON.parse(String(dev.named('cluster-vpc-cni').inputs.configurationValues))).toEqual({
      enableNetworkPolicy: 'true',
      env: { NETWORK_POLICY_ENFORCING_MODE: 'strict' },
    });
  });

  it('give machines a network first, and DNS once it may reach the API server', () => {
    expect(dev.behind('cluster-system-nodes')).toEqual(
      expect.arrayContaining(['cluster-vpc-cni', 'cluster-kube-proxy']),
    );
    expect(dev.behind('cluster-coredns')).toEqual(
      expect.arrayContaining(['cluster-system-nodes', 'cluster-system-egress', 'cluster-dns-ingress']),
    );
    // CoreDNS would wait for its policies, and they for it.
    expect(dev.behind('cluster-system-egress')).not.toContain('cluster-coredns');
    expect(dev.named('cluster-system-egress').provider).toContain('cluster-admission');
  });
});

describe('another Kubernetes', () => {
  it('comes to the control plane, its machines and its add-ons, each in the newest release for it', async () => {
    const config = configOf({ cluster: { endpointCidrs: ['203.0.113.7/32'], version: '1.35' } });
    const newer = new Resources((await recordCapacity(config)).resources);

    const groups = newer.ofType('aws:eks/nodeGroup:NodeGroup');
    expect(groups.map(({ inputs }) => [inputs.version, inputs.releaseVersion])).toEqual(
      groups.map(() => ['1.35', '1.35.2-20260714']),
    );
    expect(groups.length).toBeGreaterThan(2);
    expect(newer.ofType('aws:eks/cluster:Cluster')[0]?.inputs.version).toBe('1.35');
    for (const { name, inputs } of newer.ofType('aws:eks/addon:Addon')) {
      expect(inputs.addonVersion, name).toMatch(/^v\d/);
    }
  });
});

describe('machines', () => {
  it('of the system are small, arm64 and closed to pods', () => {
    expect(dev.named('cluster-system-nodes').inputs).toMatchObject({
      amiType: 'AL2023_ARM_64_STANDARD',
      instanceTypes: ['t4g.medium'],
      scalingConfig: { minSize: 1, maxSize: 2, desiredSize: 1 },
      labels: { 'mimeo.dev/system': 'true' },
    });
    expect(dev.named('cluster-system-nodes').ignoreChanges).toEqual(['scalingConfig.desiredSize']);
    expect(dev.named('cluster-system-machine').inputs).toMatchObject({
      blockDeviceMappings: [{ ebs: { volumeType: 'gp3', volumeSize: 20, encrypted: 'true' } }],
      metadataOptions: { httpTokens: 'required', httpPutResponseHopLimit: 1 },
    });
  });

  it('come after what their role may do', () => {
    for (const nodes of ['cluster-system-nodes', 'tier-gpu-t4-nodes']) {
      expect(dev.behind(nodes)).toEqual(
        expect.arrayContaining(['cluster-node-worker', 'cluster-node-network', 'cluster-node-pull']),
      );
    }
  });

  it('have a role of three managed policies', () => {
    const attached = dev
      .ofType('aws:iam/rolePolicyAttachment:RolePolicyAttachment')
      .filter(({ name }) => name.startsWith('cluster-node'))
      .map(({ inputs }) => String(inputs.policyArn).split('/').at(-1));

    expect(attached.toSorted()).toEqual([
      'AmazonEC2ContainerRegistryPullOnly',
      'AmazonEKSWorkerNodePolicy',
      'AmazonEKS_CNI_Policy',
    ]);
  });
});

describe('the provider of Kubernetes', () => {
  it('waits for access, add-ons and machines, and takes nothing for gone that cannot be reached', () => {
    expect(dev.behind('cluster-kubernetes')).toEqual(
      expect.arrayContaining([
        `cluster-${administratorRole(runner)}`,
        `cluster-${administratorRole(runner)}-policy`,
        'cluster-coredns',
        'cluster-vpc-cni',
        'cluster-eks-pod-identity-agent',
        'cluster-system-nodes',
      ]),
    );
    for (const name of ['cluster-kubernetes', 'cluster-admission']) {
      const { inputs } = dev.named(name);
      expect(inputs).toMatchObject({ enableServerSideApply: 'true' });
      // A teardown says it by its environment, which a provider's own input would go before.
      expect(inputs).not.toHaveProperty('deleteUnreachable');
    }
  });

  it('gets a token from the AWS CLI, and has none of its own', () => {
    const config = JSON.parse(String(dev.named('cluster-kubernetes').inputs.kubeconfig)) as {
      readonly users: readonly { readonly user: object }[];
    };

    expect(config.users.map(({ user }) => Object.keys(user))).toEqual([['exec']]);
    expect(config).toMatchObject({
      users: [
        { user: { exec: { command: 'aws', args: expect.arrayContaining(['get-token', 'mimeo-dev']) } } },
      ],
    });
    expect(result.cluster.kubeconfigCommand).toBe(
      'aws eks update-kubeconfig --region us-east-1 --name mimeo-dev',
    );
  });
});
