import { describe, expect, test } from 'vitest';
import type { CostLine } from '../../../infra/plan/price/cost-line.ts';
import { monthlyUsd, price, priceResources } from '../../../infra/plan/price/index.ts';
import { configOf, recordFixture, resourceOf } from './fixture.ts';

/** What lines of one kind come to in a state, USD a month. */
function usdOf(lines: readonly CostLine[], at: CostLine['at'], component: string, what: string): number {
  return lines
    .filter((line) => line.at === at && line.component === component && line.what === what)
    .reduce((sum, line) => sum + line.monthlyUsd, 0);
}

describe('the bill of a stack without NAT', async () => {
  const config = configOf({ network: { nat: 'none' }, tiers: { cpu: { max: 2 }, 'gpu-t4': { max: 1 } } });
  const { lines, notPriced } = price(await recordFixture(config));

  test('comes to what its parts come to while nobody calls', () => {
    const byHand =
      0.1 * 730 + // Kubernetes
      0.0336 * 730 + // one t4g.medium
      20 * 0.08 + // its disk
      0.005 * 730 + // its address
      1 + // a key
      0.0225 * 730 + // the balancer
      2 * 0.005 * 730 + // its addresses, in two zones
      0.25 * 0.03238 * 730 + // a quarter of a vCPU
      0.5 * 0.00356 * 730 + // half a GB
      0.005 * 730 + // the task's address
      0.5 + // a private zone
      0.1 * 0.084 * 730 + // Valkey's least
      2 * 0.4 + // two secrets
      730 * 60 * 20 * 0.125e-6 + // sweeps' reads
      730 * 60 * (0.2e-6 + 0.25 * 1.33334e-5) + // a function that is called each minute
      3 + // a dashboard
      2 * 0.1; // an alarm that looks at two metrics

    expect(monthlyUsd(lines).idle).toBeCloseTo(byHand, 6);
    expect(byHand).toBeCloseTo(149.26, 2);
    expect(notPriced).toEqual([]);
  });

  test('has machines, disks and addresses at their most', () => {
    expect(usdOf(lines, 'peak', 'tier-cpu', 'm6i.xlarge, on demand')).toBeCloseTo(2 * 0.192 * 730, 6);
    expect(usdOf(lines, 'peak', 'tier-gpu-t4', 'g4dn.xlarge, on demand')).toBeCloseTo(0.526 * 730, 6);
    expect(usdOf(lines, 'peak', 'tier-cpu', 'disks')).toBeCloseTo(2 * 200 * 0.08, 6);
    expect(usdOf(lines, 'peak', 'tier-cpu', 'disks, IOPS above 3,000')).toBeCloseTo(2 * 3000 * 0.005, 6);
    expect(usdOf(lines, 'peak', 'tier-cpu', 'disks, MB/s above 125')).toBeCloseTo(2 * 500 * 0.04, 6);
    expect(usdOf(lines, 'peak', 'tier-cpu', 'public addresses of machines')).toBeCloseTo(2 * 3.65, 6);
    expect(lines.filter(({ component, at }) => component.startsWith('tier-') && at === 'idle')).toEqual([]);
  });

  test('has tasks up to what autoscaling may start', () => {
    expect(usdOf(lines, 'idle', 'api', 'public addresses of tasks')).toBeCloseTo(3.65, 6);
    expect(usdOf(lines, 'peak', 'api', 'public addresses of tasks')).toBeCloseTo(7.3, 6);
    expect(usdOf(lines, 'peak', 'api', 'Fargate memory')).toBeCloseTo(2 * 0.5 * 0.00356 * 730, 6);
  });

  test('charges a million predictions what the bench measures, 9.60, but for 0.02 of functions and Valkey', () => {
    const predictions = (3 * 730 * 3600) / 2;
    const sweeps = usdOf(lines, 'idle', 'stores', 'reads');
    const requests =
      usdOf(lines, 'peak', 'stores', 'writes') +
      usdOf(lines, 'peak', 'stores', 'reads') -
      sweeps +
      usdOf(lines, 'peak', 'stores', "requests to jobs' queues");

    expect((requests / predictions) * 1e6).toBeCloseTo(9.58, 2);
  });

  test('takes Valkey at the most that it may hold and do', () => {
    expect(usdOf(lines, 'peak', 'stores', 'Valkey, memory')).toBeCloseTo(0.084 * 730, 6);
    expect(usdOf(lines, 'peak', 'stores', 'Valkey, commands')).toBeCloseTo(
      (5000 * 730 * 3600 * 0.0023) / 1e6,
      6,
    );
  });

  test('multiplies out in every line, and says where each price is from', () => {
    for (const line of lines) {
      expect(line.monthlyUsd).toBeCloseTo(line.quantity * line.unitUsd, 9);
      expect(line.source).not.toBe('');
      expect(line.quantity).toBeGreaterThan(0);
    }
  });

  test('never costs less at peak than at idle, whatever it is for', () => {
    for (const { component, what } of lines) {
      expect(usdOf(lines, 'peak', component, what)).toBeGreaterThanOrEqual(
        usdOf(lines, 'idle', component, what),
      );
    }
  });
});

describe('the bill of a stack with NAT, logs, warm pools and spot', async () => {
  const config = configOf({
    network: { nat: 'one-per-az', availabilityZones: 3, flowLogs: true, interfaceEndpoints: ['ecr.dkr'] },
    cluster: { logs: ['api', 'audit'] },
    tiers: { 'gpu-t4': { max: 4, warmPool: 2 }, 'gpu-a40-small': { min: 1, max: 2, capacity: 'spot' } },
    observability: { alarms: true },
    protection: { tableBackupDays: 7 },
  });
  const { lines, notPriced } = price(await recordFixture(config));

  test('has a gateway and an address for each zone, and an endpoint in each', () => {
    expect(usdOf(lines, 'idle', 'network', 'NAT gateways')).toBeCloseTo(3 * 0.045 * 730, 6);
    expect(usdOf(lines, 'idle', 'network', 'public addresses of NAT')).toBeCloseTo(3 * 3.65, 6);
    expect(usdOf(lines, 'idle', 'network', 'interface endpoints')).toBeCloseTo(3 * 0.01 * 730, 6);
    expect(lines.filter(({ what }) => what === 'public addresses of machines')).toEqual([]);
    expect(notPriced).toEqual([]);
  });

  test('has the disks of machines that stand by, and not their hours', () => {
    expect(usdOf(lines, 'idle', 'tier-gpu-t4', 'disks')).toBeCloseTo(2 * 200 * 0.08, 6);
    expect(usdOf(lines, 'peak', 'tier-gpu-t4', 'disks')).toBeCloseTo(4 * 200 * 0.08, 6);
    expect(usdOf(lines, 'idle', 'tier-gpu-t4', 'g4dn.xlarge, on demand')).toBe(0);
  });

  test("takes spot's price, and what always runs at idle", () => {
    expect(usdOf(lines, 'idle', 'tier-gpu-a40-small', 'g6e.xlarge, spot')).toBeCloseTo(0.9971 * 730, 6);
    expect(usdOf(lines, 'peak', 'tier-gpu-a40-small', 'g6e.xlarge, spot')).toBeCloseTo(2 * 0.9971 * 730, 6);
  });

  test('has logs by what writes them, and an alarm by its metrics', () => {
    expect(usdOf(lines, 'idle', 'cluster', "control plane's logs")).toBeCloseTo(2 * 5 * 0.5, 6);
    expect(usdOf(lines, 'peak', 'network', 'flow logs')).toBeCloseTo((1 + 6 * 5) * 0.5, 6);
    expect(usdOf(lines, 'idle', 'observability', 'alarm')).toBeCloseTo(0.2, 6);
  });

  test('keeps backups of the table', () => {
    expect(usdOf(lines, 'peak', 'stores', 'backups')).toBeGreaterThan(0);
  });
});

test('prices are those of the region that the program names', async () => {
  const lines = priceResources(
    await recordFixture(configOf({ tiers: { 'gpu-t4': { max: 1 } } }, 'eu-west-1')),
  );

  expect(usdOf(lines, 'peak', 'tier-gpu-t4', 'g4dn.xlarge, on demand')).toBeCloseTo(0.587 * 730, 6);
  expect(usdOf(lines, 'idle', 'network', 'NAT gateway')).toBeCloseTo(0.048 * 730, 6);
});

describe('a component of awsx whose inside the engine has made', () => {
  const vpc = resourceOf('awsx:ec2:Vpc', 'vpc', {
    isCustom: false,
    inputs: { natGateways: { strategy: 'Single' }, numberOfAvailabilityZones: 2 },
  });
  const inside = { parent: vpc.urn };
  const expanded = [
    vpc,
    resourceOf('aws:ec2/natGateway:NatGateway', 'nat', inside),
    resourceOf('aws:ec2/eip:Eip', 'eip', inside),
  ];

  test('is priced by what is inside, once', () => {
    const byInputs = monthlyUsd(priceResources([vpc])).idle;

    expect(byInputs).toBeCloseTo((0.045 + 0.005) * 730, 6);
    expect(monthlyUsd(priceResources(expanded)).idle).toBeCloseTo(byInputs, 6);
  });

  test('has tasks by their definition', () => {
    const service = resourceOf('awsx:ecs:FargateService', 'service', { isCustom: false });
    const definition = resourceOf('aws:ecs/taskDefinition:TaskDefinition', 'task', {
      parent: service.urn,
      inputs: { cpu: '1024', memory: '2048', runtimePlatform: { cpuArchitecture: 'ARM64' } },
    });
    const tasks = resourceOf('aws:ecs/service:Service', 'service', {
      parent: service.urn,
      inputs: { desiredCount: 3 },
      dependencies: [definition.urn],
    });

    const { idle } = monthlyUsd(priceResources([service, definition, tasks]));

    expect(idle).toBeCloseTo(3 * 730 * (0.03238 + 2 * 0.00356), 6);
  });
});

describe('what is not priced is told by name', () => {
  const whys = (type: string, inputs: Record<string, unknown> = {}) =>
    price([resourceOf(type, 'it', { inputs })]).notPriced.map(({ name, why }) => `${name}: ${why}`);

  test('where nothing is known of a kind', () => {
    expect(whys('aws:rds/instance:Instance')).toEqual(['it: no price is known of its kind']);
    expect(whys('awsx:classic:Something')).toEqual(['it: no price is known of its kind']);
  });

  test.each([
    ['aws:eks/cluster:Cluster', { controlPlaneScalingConfig: { tier: 'tier-xl' } }, 'tier-xl'],
    ['aws:eks/nodeGroup:NodeGroup', { instanceTypes: ['x9.huge'], scalingConfig: { maxSize: 1 } }, 'x9.huge'],
    ['aws:dynamodb/table:Table', { billingMode: 'PROVISIONED' }, 'provisioned'],
    ['kubernetes:core/v1:Service', { spec: { type: 'LoadBalancer' } }, 'load balancer'],
    ['aws:ec2/capacityReservation:CapacityReservation', { instanceType: 'x9.huge' }, 'x9.huge'],
  ])('where %s is of an unusual form', (type, inputs, why) => {
    expect(whys(type, inputs).join()).toContain(why);
  });

  test('and what is known to be free is not', () => {
    expect(whys('aws:iam/role:Role')).toEqual([]);
    expect(whys('kubernetes:core/v1:Namespace')).toEqual([]);
  });
});

test('a cache with a minimum costs that at idle', () => {
  const inputs = { cacheUsageLimits: { dataStorage: { minimum: 1, maximum: 5, unit: 'GB' } } };
  const lines = priceResources([
    resourceOf('aws:elasticache/serverlessCache:ServerlessCache', 'it', { inputs }),
  ]);

  expect(monthlyUsd(lines).idle).toBeCloseTo(0.084 * 730, 6);
  expect(monthlyUsd(lines).peak).toBeCloseTo(5 * 0.084 * 730, 6);
});

test('a cluster that may slip into extended support costs more at peak', () => {
  const lines = priceResources([resourceOf('aws:eks/cluster:Cluster', 'it')]);

  expect(monthlyUsd(lines)).toEqual({ idle: expect.closeTo(73, 6), peak: expect.closeTo(438, 6) });
});

test('a reservation costs whether or not anything runs in it', () => {
  const inputs = { instanceType: 'p4d.24xlarge', instanceCount: 2 };
  const lines = priceResources([
    resourceOf('aws:ec2/capacityReservation:CapacityReservation', 'it', { inputs }),
  ]);

  expect(monthlyUsd(lines).idle).toBeCloseTo(2 * 21.957642 * 730, 4);
});
