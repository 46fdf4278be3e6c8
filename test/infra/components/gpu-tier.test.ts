import { beforeAll, describe, expect, it } from 'vitest';
import { configOf, Resources, recordCapacity } from './capacity.ts';

let resources: Resources;
let result: Awaited<ReturnType<typeof recordCapacity>>['result'];

beforeAll(async () => {
  const recording = await recordCapacity(
    configOf({
      tiers: {
        cpu: { max: 2, capacity: 'spot' },
        'gpu-t4': { max: 4, warmPool: 1, diskGb: 300, scaleDownMinutes: 25 },
        'gpu-a40-large': { max: 2, min: 1, disk: 'instance-store' },
      },
    }),
  );
  resources = new Resources(recording.resources);
  result = recording.result;
});

const nodes = (sku: string) => resources.named(`tier-${sku}-nodes`);
const machine = (sku: string) => resources.named(`tier-${sku}-machine`).inputs;

function userData(sku: string): string {
  return Buffer.from(String(machine(sku).userData), 'base64').toString();
}

function tags(sku: string): Record<string, unknown> {
  return Object.fromEntries(
    resources
      .ofType('aws:autoscaling/tag:Tag')
      .filter(({ name }) => name.startsWith(`tier-${sku}-tag-`))
      .map(({ inputs }) => inputs as { tag: { key: string; value: string; propagateAtLaunch: boolean } })
      .map(({ tag }) => [tag.key, tag.value]),
  );
}

describe('a tier with GPUs', () => {
  it('starts from zero with the AMI that has the driver', () => {
    expect(nodes('gpu-t4').inputs).toMatchObject({
      nodeGroupName: 'mimeo-dev-gpu-t4',
      amiType: 'AL2023_x86_64_NVIDIA',
      capacityType: 'ON_DEMAND',
      instanceTypes: ['g4dn.xlarge'],
      scalingConfig: { minSize: 0, maxSize: 4, desiredSize: 0 },
      nodeRepairConfig: { enabled: true },
      tags: { 'mimeo:tier': 'gpu-t4' },
    });
    expect(nodes('gpu-t4').ignoreChanges).toEqual(['scalingConfig.desiredSize']);
  });

  it('takes models alone, and says what it is', () => {
    expect(nodes('gpu-t4').inputs).toMatchObject({
      labels: { 'mimeo.dev/sku': 'gpu-t4', 'k8s.amazonaws.com/accelerator': 't4' },
      taints: [
        { key: 'mimeo.dev/models', value: 'true', effect: 'NO_SCHEDULE' },
        { key: 'nvidia.com/gpu', value: 'true', effect: 'NO_SCHEDULE' },
      ],
    });
  });

  it('keeps stopped machines with what they have pulled, where asked to', () => {
    expect(nodes('gpu-t4').inputs.warmPoolConfig).toEqual({
      minSize: 1,
      maxGroupPreparedCapacity: 1,
      poolState: 'STOPPED',
      reuseOnScaleIn: true,
    });
    expect(nodes('cpu').inputs).not.toHaveProperty('warmPoolConfig');
  });

  it('is found by the autoscaler while it has no machine', () => {
    const template = 'k8s.io/cluster-autoscaler/node-template';

    expect(tags('gpu-t4')).toEqual({
      'mimeo:tier': 'gpu-t4',
      [`${template}/label/mimeo.dev/sku`]: 'gpu-t4',
      [`${template}/label/k8s.amazonaws.com/accelerator`]: 't4',
      [`${template}/taint/mimeo.dev/models`]: 'true:NoSchedule',
      [`${template}/taint/nvidia.com/gpu`]: 'true:NoSchedule',
      [`${template}/resources/ephemeral-storage`]: '255Gi',
      [`${template}/autoscaling-options/scaledownunneededtime`]: '25m0s',
    });
    const [tag] = resources
      .ofType('aws:autoscaling/tag:Tag')
      .filter(({ name }) => name.startsWith('tier-gpu-t4'));
    expect(tag?.inputs.autoscalingGroupName).toBe('eks-mimeo-dev-gpu-t4-asg');
  });
});

describe('the disk of images', () => {
  it('is a fast gp3 volume of the size that was asked for', () => {
    expect(machine('gpu-t4').blockDeviceMappings).toMatchObject([
      {
        deviceName: '/dev/xvda',
        ebs: { volumeType: 'gp3', volumeSize: 300, throughput: 600, encrypted: 'true' },
      },
    ]);
    expect(userData('gpu-t4')).not.toContain('RAID0');
  });

  it("is the machine's own where they are joined", () => {
    expect(machine('gpu-a40-large').blockDeviceMappings).toMatchObject([{ ebs: { volumeSize: 50 } }]);
    expect(userData('gpu-a40-large')).toContain('strategy: RAID0');
    // 85 % of 450 GB, as GiB.
    expect(tags('gpu-a40-large')).toMatchObject({
      'k8s.io/cluster-autoscaler/node-template/resources/ephemeral-storage': '356Gi',
    });
  });
});

describe('a machine', () => {
  it('pulls in parallel, as a NodeConfig in MIME says', () => {
    const [head, part, end] = userData('gpu-t4').split('--MIMEO');

    expect(head).toContain('Content-Type: multipart/mixed; boundary="MIMEO"');
    expect(part).toMatch(
      /Content-Type: application\/node\.eks\.aws\n\napiVersion: node\.eks\.aws\/v1alpha1\n/,
    );
    expect(part).toContain('  featureGates:\n    FastImagePull: true\n');
    expect(end).toBe('--\n');
  });

  it('keeps its metadata from pods, and says who pays for it and its disks', () => {
    expect(machine('cpu').metadataOptions).toMatchObject({
      httpEndpoint: 'enabled',
      httpTokens: 'required',
      httpPutResponseHopLimit: 1,
    });
    const paid = { 'mimeo:project': 'mimeo', 'mimeo:environment': 'dev', 'mimeo:tier': 'cpu' };
    expect(machine('cpu').tagSpecifications).toMatchObject([
      { resourceType: 'instance', tags: paid },
      { resourceType: 'volume', tags: paid },
      { resourceType: 'network-interface', tags: paid },
    ]);
  });
});

describe('a tier without GPUs', () => {
  it('is made like the others, by the plain AMI, and of spot machines where asked to', () => {
    expect(nodes('cpu').inputs).toMatchObject({
      amiType: 'AL2023_x86_64_STANDARD',
      capacityType: 'SPOT',
      labels: { 'mimeo.dev/sku': 'cpu' },
      taints: [{ key: 'mimeo.dev/models' }],
    });
    expect(nodes('cpu').inputs.labels).not.toHaveProperty('k8s.amazonaws.com/accelerator');
  });
});

it('tiers say what EKS called their groups', () => {
  expect(result.tiers).toEqual(
    ['cpu', 'gpu-t4', 'gpu-a40-large'].map((sku) => ({
      sku,
      nodeGroupName: `mimeo-dev-${sku}`,
      autoscalingGroupName: `eks-mimeo-dev-${sku}-asg`,
    })),
  );
});
