import { expect, test } from 'vitest';
import { arm64Functions } from '../../policies/money/arm64-functions.ts';
import { cacheLimits } from '../../policies/money/cache-limits.ts';
import { capacityTypes } from '../../policies/money/capacity-types.ts';
import { controlPlaneTier } from '../../policies/money/control-plane-tier.ts';
import { costTags } from '../../policies/money/cost-tags.ts';
import { gpuInstanceTypes } from '../../policies/money/gpu-instance-types.ts';
import { gpuScaleToZero } from '../../policies/money/gpu-scale-to-zero.ts';
import { idleCeiling } from '../../policies/money/idle-ceiling.ts';
import { logRetention } from '../../policies/money/log-retention.ts';
import { machineTags } from '../../policies/money/machine-tags.ts';
import { monthlyBudget } from '../../policies/money/monthly-budget.ts';
import { natCount } from '../../policies/money/nat-count.ts';
import { noCapacityReservations } from '../../policies/money/no-capacity-reservations.ts';
import { noExtendedSupport } from '../../policies/money/no-extended-support.ts';
import { noProvisionedThroughput } from '../../policies/money/no-provisioned-throughput.ts';
import { peakCeiling } from '../../policies/money/peak-ceiling.ts';
import { skuPrices } from '../../policies/money/sku-prices.ts';
import { tierMaxNodes } from '../../policies/money/tier-max-nodes.ts';
import { tierTags } from '../../policies/money/tier-tags.ts';
import { totalGpus } from '../../policies/money/total-gpus.ts';
import { warmPoolsStopped } from '../../policies/money/warm-pools-stopped.ts';
import { costBy } from '../../policies/pricing.ts';
import {
  cluster,
  fargate,
  lambda,
  launchTemplate,
  messagesOf,
  nodeGroup,
  provider,
  resource,
  table,
  testCases,
  unknownNumber,
  unknownText,
} from './fixtures.ts';

const t4 = {
  instanceTypes: ['g4dn.xlarge'],
  amiType: 'AL2023_x86_64_NVIDIA',
  tags: { 'mimeo:tier': 'gpu-t4' },
  scalingConfig: { minSize: 0, desiredSize: 0, maxSize: 1 },
};
const group = (inputs: Record<string, unknown>, environment = 'dev') =>
  resource(nodeGroup, { ...t4, ...inputs }, { name: 'tier-gpu-t4-nodes', in: environment });
const sized = (scalingConfig: Record<string, unknown>, environment = 'dev') =>
  group({ scalingConfig: { ...t4.scalingConfig, ...scalingConfig } }, environment);

const tier = (sku: string, name = 'template') => {
  const tags = { 'mimeo:project': 'mimeo', 'mimeo:environment': 'dev', 'mimeo:tier': sku };
  const tagSpecifications = ['instance', 'volume'].map((resourceType) => ({ resourceType, tags }));
  return resource(launchTemplate, { tagSpecifications }, { name });
};

testCases({
  policy: idleCeiling(() => ({ idle: 150, peak: 0 })),
  passes: { 'what costs as much as its ceiling': group({}) },
  fails: {},
});
testCases({
  policy: idleCeiling(() => ({ idle: 150.01, peak: 0 })),
  passes: { 'the same in staging': group({}, 'staging') },
  fails: {
    'a cent more': [group({}), /dev costs 150.01 USD.*ceiling of 150.*mimeo plan dev/],
    'an environment of another name by the rules of dev': [group({}, 'alice'), /alice costs .* 150/],
  },
});
testCases({
  policy: peakCeiling(() => ({ idle: 0, peak: 6000.5 })),
  passes: { 'what production may cost': group({}, 'prod') },
  fails: { 'more than staging may': [group({}, 'staging'), /staging may cost 6000.50 USD.*6000;/] },
});

test('ceilings are as a person sets them, environment by environment', () => {
  const policy = idleCeiling(() => ({ idle: 200, peak: 0 }));
  expect(messagesOf(policy, [group({})], { monthlyIdleUsd: { dev: 250 } })).toEqual([]);
  expect(messagesOf(policy, [group({})], { monthlyIdleUsd: { staging: 250 } })).toHaveLength(1);
  expect(() => messagesOf(policy, [group({})], { monthlyIdleUsd: 'much' })).toThrow(/monthlyIdleUsd/);
});

test('a stack is priced by its known inputs, with parents', () => {
  const parent = resource('awsx:ec2:Vpc', {}, { name: 'vpc' });
  const child = resource(
    'aws:ec2/natGateway:NatGateway',
    { subnetId: unknownText, tags: { a: 'b' } },
    { parent },
  );
  const monthlyCost = costBy({
    priceResources: (resources) => resources,
    monthlyUsd: (lines) => ({ idle: 151, peak: lines.length }),
  });
  const seen: unknown[] = [];
  const policy = idleCeiling((resources) => {
    costBy({ priceResources: (all) => seen.push(...all) as never, monthlyUsd: () => ({ idle: 0, peak: 0 }) })(
      resources,
    );
    return monthlyCost(resources);
  });
  expect(messagesOf(policy, [parent, child])).toHaveLength(1);
  expect(seen).toMatchObject([
    { name: 'vpc', isCustom: false, parent: undefined },
    { isCustom: true, parent: parent.urn, inputs: { tags: { a: 'b' } } },
  ]);
  expect(seen[1]).not.toHaveProperty('inputs.subnetId');
});

testCases({
  policy: gpuInstanceTypes,
  passes: {
    'a T4 in dev': group({}),
    'machines without GPUs': group({ instanceTypes: ['m6i.xlarge', 't4g.medium'] }),
    'an A100 in prod': group({ instanceTypes: ['p4d.24xlarge'] }, 'prod'),
  },
  fails: {
    'an A100 in dev': [
      group({ instanceTypes: ['p4d.24xlarge'] }),
      /may start p4d.24xlarge, which dev does not allow/,
    ],
    'a type of the launch template': [
      resource(launchTemplate, { instanceType: 'p5.48xlarge' }),
      /p5.48xlarge/,
    ],
    'a type without a price': [group({ instanceTypes: ['g99.metal'] }), /g99.metal/],
    'a type that a preview does not know': [group({ instanceTypes: [unknownText] }), /literally/],
  },
});
testCases({
  policy: tierMaxNodes,
  passes: { 'four in dev': sized({ maxSize: 4 }), 'more in prod': sized({ maxSize: 32 }, 'prod') },
  fails: {
    'five in dev': [sized({ maxSize: 5 }), /tier-gpu-t4-nodes may grow to 5 machines, over the 4 of dev/],
    'a number that a preview does not know': [
      sized({ maxSize: unknownNumber }),
      /literal scalingConfig.maxSize/,
    ],
  },
});
const template = resource(launchTemplate, { instanceType: 'p4d.24xlarge' }, { name: 'template' });
testCases({
  policy: totalGpus,
  passes: {
    'four T4s in dev': sized({ maxSize: 4 }),
    'many machines without GPUs': group({
      instanceTypes: ['m6i.xlarge'],
      amiType: '',
      scalingConfig: { maxSize: 40 },
    }),
  },
  fails: {
    'eight GPUs of a launch template': [
      [template, resource(nodeGroup, { ...t4, instanceTypes: [] }, { name: 'a100', needs: [template] })],
      /dev may have 8 GPUs \(a100 8\), over its 4/,
    ],
    'GPUs that a preview cannot count': [sized({ maxSize: unknownNumber }), /must have literal/],
  },
});
testCases({
  policy: gpuScaleToZero,
  passes: {
    'none at first': group({}),
    'a CPU that stays': group({
      instanceTypes: ['m6i.xlarge'],
      amiType: 'AL2023_x86_64_STANDARD',
      scalingConfig: { minSize: 1, desiredSize: 1, maxSize: 1 },
    }),
  },
  fails: {
    'a GPU that stays': [sized({ minSize: 1 }), /minSize of 1.*name gpu-t4 in alwaysOn/],
    'a GPU to begin with': [sized({ desiredSize: 1 }), /desiredSize of 1/],
    'a minimum that a preview does not know': [
      sized({ minSize: unknownNumber }),
      /literal scalingConfig.minSize/,
    ],
  },
});
test('a tier that is named may stay', () => {
  expect(messagesOf(gpuScaleToZero, [sized({ minSize: 1 })], { alwaysOn: { dev: ['gpu-t4'] } })).toEqual([]);
});
testCases({
  policy: warmPoolsStopped,
  passes: {
    none: group({}),
    'stopped ones': group({ warmPoolConfig: { minSize: 1, poolState: 'STOPPED' } }),
    'the default': group({ warmPoolConfig: { minSize: 1 } }),
  },
  fails: {
    'running ones': [group({ warmPoolConfig: { poolState: 'RUNNING' } }), /set warmPoolConfig.poolState/],
  },
});
testCases({
  policy: capacityTypes,
  passes: {
    'on demand': group({ capacityType: 'ON_DEMAND' }, 'prod'),
    'spot in dev': group({ capacityType: 'SPOT' }),
  },
  fails: {
    'spot in prod': [group({ capacityType: 'SPOT' }, 'prod'), /name gpu-t4 in spot/],
    'spot for the system': [group({ capacityType: 'SPOT', tags: {} }), /may not be interrupted/],
    'blocks of capacity': [group({ capacityType: 'CAPACITY_BLOCK' }), /in advance/],
    'one that a preview does not know': [group({ capacityType: unknownText }), /literal capacityType/],
  },
});
testCases({
  policy: noCapacityReservations,
  passes: { 'a launch template': resource(launchTemplate, {}) },
  fails: {
    'a reservation': [resource('aws:ec2/capacityReservation:CapacityReservation', {}), /remove it/],
    'a target': [
      resource(launchTemplate, {
        capacityReservationSpecification: {
          capacityReservationTarget: { capacityReservationId: unknownText },
        },
      }),
      /reserved capacity/,
    ],
  },
});
const cache = (cacheUsageLimits: unknown) =>
  resource('aws:elasticache/serverlessCache:ServerlessCache', { cacheUsageLimits });
const maximums = { dataStorage: { maximum: 1, unit: 'GB' }, ecpuPerSeconds: [{ maximum: 5000 }] };
testCases({
  policy: cacheLimits,
  passes: { maximums: cache(maximums) },
  fails: {
    'a minimum': [
      cache({ ...maximums, dataStorage: { minimum: 1, maximum: 2 } }),
      /remove cacheUsageLimits.dataStorage.minimum/,
    ],
    'a minimum that a preview does not know': [
      cache({ ...maximums, ecpuPerSeconds: [{ minimum: unknownNumber, maximum: 2 }] }),
      /minimum of ecpu/,
    ],
    'no maximum': [cache(undefined), /no literal maximum of dataStorage/],
  },
});
testCases({
  policy: noProvisionedThroughput,
  passes: {
    'a table by request': resource(table, {
      billingMode: 'PAY_PER_REQUEST',
      globalSecondaryIndexes: [{ name: 'a' }],
    }),
  },
  fails: {
    'the default': [resource(table, {}), /PAY_PER_REQUEST/],
    'a warm index': [
      resource(table, { billingMode: 'PAY_PER_REQUEST', globalSecondaryIndexes: [{ warmThroughput: {} }] }),
      /warmThroughput/,
    ],
    'functions kept warm': [
      resource('aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig', {}),
      /by the hour/,
    ],
    'nodes of a cache': [
      resource('aws:elasticache/replicationGroup:ReplicationGroup', {}),
      /ServerlessCache/,
    ],
  },
});
testCases({
  policy: controlPlaneTier,
  passes: {
    'no tier': resource(cluster, {}),
    standard: resource(cluster, { controlPlaneScalingConfig: { tier: 'standard' } }),
  },
  fails: {
    'a larger one': [resource(cluster, { controlPlaneScalingConfig: { tier: 'tier-xl' } }), /to standard/],
    'Auto Mode': [resource(cluster, { computeConfig: { enabled: true } }), /Auto Mode/],
  },
});
testCases({
  policy: noExtendedSupport,
  passes: {
    'a version of today': resource(cluster, { version: '1.36', upgradePolicy: { supportType: 'STANDARD' } }),
  },
  fails: {
    'the default': [resource(cluster, { version: '1.36' }), /supportType to STANDARD/],
    'an old version': [
      resource(cluster, { version: '1.31', upgradePolicy: { supportType: 'STANDARD' } }),
      /runs Kubernetes 1.31/,
    ],
  },
});
const vpc = (inputs: Record<string, unknown>, environment = 'dev') =>
  resource('awsx:ec2:Vpc', inputs, { name: 'network-vpc', in: environment });
const expanded = vpc({ natGateways: { strategy: 'OnePerAz' }, numberOfAvailabilityZones: 3 }, 'staging');
const gateway = (name: string, parent?: typeof expanded, environment = 'staging') =>
  resource('aws:ec2/natGateway:NatGateway', { subnetId: unknownText }, { name, parent, in: environment });
testCases({
  policy: natCount,
  passes: {
    'none in dev': vpc({ natGateways: { strategy: 'None' } }),
    'one in staging': vpc({ natGateways: { strategy: 'Single' } }, 'staging'),
    'one a zone in prod': vpc(
      { natGateways: { strategy: 'OnePerAz' }, numberOfAvailabilityZones: 3 },
      'prod',
    ),
    'what the engine expanded, once': [expanded, gateway('a', expanded)],
  },
  fails: {
    'one in dev': [vpc({ natGateways: { strategy: 'Single' } }), /dev has 1 NAT gateways.*over its 0/],
    'the default of awsx': [vpc({ numberOfAvailabilityZones: 2 }), /2 NAT gateways/],
    'children of a component': [[expanded, gateway('a', expanded), gateway('b', expanded)], /staging has 2 /],
    'gateways by themselves': [gateway('a', undefined, 'dev'), /dev has 1 /],
    'a strategy that a preview does not know': [
      vpc({ natGateways: { strategy: unknownText } }),
      /literal natGateways/,
    ],
  },
});
const logs = (inputs: Record<string, unknown>) => resource('aws:cloudwatch/logGroup:LogGroup', inputs);
testCases({
  policy: logRetention,
  passes: {
    'two weeks': logs({ retentionInDays: 14 }),
    'a group that is given': resource(fargate, {
      taskDefinitionArgs: { logGroup: { existing: { arn: unknownText } } },
    }),
  },
  fails: {
    'for ever': [logs({}), /keeps logs for ever/],
    '0 days, which is for ever': [logs({ retentionInDays: 0 }), /for ever/],
    'too long': [logs({ retentionInDays: 365 }), /for 365 days, over the 90 of dev/],
    'the default of awsx': [resource(fargate, { taskDefinitionArgs: {} }), /for ever/],
  },
});
const tagged = provider();
const untagged = provider({ defaultTags: undefined });
const unread = provider({ defaultTags: unknownText });
testCases({
  policy: costTags,
  passes: {
    'a tagged provider': [tagged, resource(table, {}, { provider: tagged })],
    'tags that are not JSON': [
      provider({ defaultTags: { tags: { 'mimeo:project': 'a', 'mimeo:environment': 'b' } } }),
      resource(table, {}, { provider: tagged }),
    ],
    'what is no resource of AWS': resource('kubernetes:core/v1:Namespace', {}),
  },
  fails: {
    'a default provider': [resource(table, {}), /thing is made by AWS's default provider/],
    'a provider without tags': [
      [untagged, resource(table, {}, { provider: untagged })],
      /mimeo:project, mimeo:environment/,
    ],
    'tags that a preview does not know': [[unread, resource(table, {}, { provider: unread })], /not literal/],
  },
});
testCases({
  policy: machineTags,
  passes: { 'both kinds tagged': tier('gpu-t4') },
  fails: {
    'no tags': [resource(launchTemplate, {}), /does not tag each instance/],
    'a volume without': [
      resource(launchTemplate, {
        tagSpecifications: [
          { resourceType: 'instance', tags: { 'mimeo:project': 'm', 'mimeo:environment': 'dev' } },
        ],
      }),
      /each volume/,
    ],
  },
});
const [ofT4, ofCpu] = [tier('gpu-t4'), tier('cpu', 'other')];
const groupBy = (of: typeof ofT4, inputs = {}) =>
  resource(nodeGroup, { ...t4, ...inputs }, { name: 'group', needs: [of] });
testCases({
  policy: tierTags,
  passes: {
    'a tier': [ofT4, groupBy(ofT4)],
    'system nodes': resource(nodeGroup, { instanceTypes: ['t4g.medium'] }),
  },
  fails: {
    'a GPU without a SKU': [group({ tags: {} }), /no tag mimeo:tier/],
    'no SKU of ours': [group({ tags: { 'mimeo:tier': 'gpu-t5' } }), /gpu-t5, which is no SKU/],
    'machines of another SKU': [[ofCpu, groupBy(ofCpu)], /instance has no tag mimeo:tier: gpu-t4/],
    'no launch template': [group({}), /no launch template/],
  },
});
const sold = (sku: string, instanceType: string, more = {}) => [
  tagged,
  resource(
    nodeGroup,
    { instanceTypes: [instanceType], tags: { 'mimeo:tier': sku }, ...more },
    { name: sku, provider: tagged },
  ),
];
const api = (MIMEO_PRICES: string) =>
  resource(
    fargate,
    { taskDefinitionArgs: { container: { environment: [{ name: 'MIMEO_PRICES', value: MIMEO_PRICES }] } } },
    { name: 'api' },
  );
testCases({
  policy: skuPrices,
  passes: {
    'a T4 at 225 for 147': sold('gpu-t4', 'g4dn.xlarge'),
    'an eighth of a machine': sold('gpu-a100-small', 'p4d.24xlarge'),
    'a share of a CPU machine': sold('cpu', 'm6i.xlarge'),
    'a group of no tier': sold('system', 't4g.medium'),
  },
  fails: {
    // 6.88 USD an hour is 1,911.1 micro-dollars a second.
    'an H100 below its cost': [
      sold('gpu-h100', 'p5.4xlarge'),
      /sells a second of gpu-h100 for 1525 micro-dollars, and p5.4xlarge costs 1912/,
    ],
    'a price of this stack': [[...sold('gpu-t4', 'g4dn.xlarge'), api('{"gpu-t4":146}')], /for 146/],
  },
});
testCases({
  policy: monthlyBudget,
  passes: { 'a budget': resource('aws:budgets/budget:Budget', {}) },
  fails: { none: [resource(table, {}), /dev has no budget/] },
});
testCases({
  policy: arm64Functions,
  passes: { arm64: resource(lambda, { architectures: ['arm64'] }) },
  fails: { 'the default': [resource(lambda, {}), /runs on x86/] },
});
