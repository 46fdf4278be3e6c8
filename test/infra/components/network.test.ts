import { describe, expect, it } from 'vitest';
import { record } from '../../../infra/plan/record.ts';
import { configOf, Resources, recordCapacity } from './capacity.ts';

async function networkOf(network: Readonly<Record<string, unknown>>) {
  const { resources, result } = await recordCapacity(configOf({ network }));
  const vpc = resources.find(({ type }) => type === 'awsx:ec2:Vpc');
  return { resources: new Resources(resources), network: result.network, vpc: vpc?.inputs ?? {} };
}

describe('without NAT', () => {
  it('machines stand in public subnets, and stores where nothing is reached', async () => {
    const { network, vpc } = await networkOf({ nat: 'none' });

    expect(vpc).toMatchObject({
      availabilityZoneNames: ['us-east-1a', 'us-east-1b'],
      natGateways: { strategy: 'None' },
      subnetSpecs: [
        { type: 'Public', tags: { 'kubernetes.io/role/elb': '1' } },
        { type: 'Isolated', tags: {} },
      ],
    });
    expect(network).toMatchObject({ hasPublicMachines: true, egressCidrs: [] });
    expect(network.nodeSubnetIds).toEqual(network.publicSubnetIds);
    expect(network.storeSubnetIds).toEqual(['network-vpc-isolated-1', 'network-vpc-isolated-2']);
  });
});

describe.each([
  ['single', 'Single'],
  ['one-per-az', 'OnePerAz'],
])('with NAT %s', (nat, strategy) => {
  it('machines and stores stand in private subnets, and call from known addresses', async () => {
    const { network, vpc } = await networkOf({ nat, availabilityZones: 3 });

    expect(vpc).toMatchObject({
      availabilityZoneNames: ['us-east-1a', 'us-east-1b', 'us-east-1c'],
      natGateways: { strategy },
      subnetSpecs: [
        { type: 'Public' },
        { type: 'Private', tags: { 'kubernetes.io/role/internal-elb': '1' } },
      ],
    });
    expect(network.hasPublicMachines).toBe(false);
    expect(network.nodeSubnetIds).toEqual([1, 2, 3].map((zone) => `network-vpc-private-${zone}`));
    expect(network.storeSubnetIds).toEqual(network.nodeSubnetIds);
    expect(network.egressCidrs).toContain('198.51.100.1/32');
  });
});

describe('zones', () => {
  async function zones(network: Readonly<Record<string, unknown>>, names: readonly string[]) {
    const asked: unknown[] = [];
    const { result } = await record(
      async () => {
        const { zonesOf } = await import('../../../infra/components/zones.ts');
        return await zonesOf(configOf({ network }).network, {});
      },
      {
        project: 'mimeo',
        environment: 'dev',
        call: ({ inputs }) => {
          asked.push(inputs.excludeZoneIds);
          return { ...inputs, names };
        },
      },
    );
    return { result, asked };
  }

  it('are the first ones that EKS takes, whose names differ between accounts', async () => {
    const { result, asked } = await zones({}, ['us-east-1d', 'us-east-1b', 'us-east-1c']);

    expect(result).toEqual(['us-east-1b', 'us-east-1c']);
    expect(asked).toEqual([expect.arrayContaining(['use1-az3'])]);
  });

  it('are those that are named, and AWS is not asked', async () => {
    const named = ['us-east-1c', 'us-east-1f'];

    expect(await zones({ zones: named }, [])).toEqual({ result: named, asked: [] });
    expect((await networkOf({ zones: named })).vpc.availabilityZoneNames).toEqual(named);
  });

  it('are too few in some regions, which is said', async () => {
    await expect(zones({ availabilityZones: 3 }, ['us-west-1a', 'us-west-1c'])).rejects.toThrow(
      'network.availabilityZones is 3: this region has 2 that EKS takes (us-west-1a, us-west-1c)',
    );
  });
});

describe('endpoints', () => {
  it('of S3 and DynamoDB are always there, and free', async () => {
    const { resources, vpc } = await networkOf({ nat: 'none' });

    expect(vpc).toMatchObject({
      vpcEndpointStrategy: 'Auto',
      vpcEndpointSpecs: [
        { serviceName: 'com.amazonaws.us-east-1.s3', vpcEndpointType: 'Gateway' },
        { serviceName: 'com.amazonaws.us-east-1.dynamodb', vpcEndpointType: 'Gateway' },
      ],
    });
    expect(resources.ofType('aws:ec2/vpcEndpoint:VpcEndpoint')).toEqual([]);
    expect(resources.ofType('aws:ec2/securityGroup:SecurityGroup')).toEqual([]);
  });

  it('with an interface are reached from inside the VPC, by TLS', async () => {
    const { resources } = await networkOf({ cidr: '10.50.0.0/16', interfaceEndpoints: ['ecr.dkr', 'sts'] });

    expect(resources.named('network-endpoint-ecr-dkr').inputs).toMatchObject({
      serviceName: 'com.amazonaws.us-east-1.ecr.dkr',
      vpcEndpointType: 'Interface',
      privateDnsEnabled: true,
      securityGroupIds: ['network-endpoints-id'],
    });
    expect(resources.has('network-endpoint-sts')).toBe(true);
    expect(resources.ofType('aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule')).toHaveLength(1);
    expect(resources.named('network-endpoints-from-vpc').inputs).toMatchObject({
      cidrIpv4: '10.50.0.0/16',
      fromPort: 443,
      toPort: 443,
    });
  });
});

describe('flow logs', () => {
  it('are kept as long as other logs, by a role that writes to their group alone', async () => {
    const { resources } = await networkOf({ flowLogs: true });

    expect(resources.named('network-flow-log').inputs).toBeDefined();
    expect(resources.named('network-flow-logs').inputs).toMatchObject({
      name: '/mimeo-dev/flow-logs',
      retentionInDays: 14,
    });
    const [policy] = resources
      .ofType('aws:iam/rolePolicy:RolePolicy')
      .filter(({ name }) => name.startsWith('network'));
    expect(JSON.parse(String(policy?.inputs.policy))).toMatchObject({
      Statement: [{ Resource: [expect.stringMatching(/flow-logs:\*$/)] }],
    });
  });

  it('are not there unless asked for', async () => {
    const { resources } = await networkOf({});

    expect(resources.ofType('aws:ec2/flowLog:FlowLog')).toEqual([]);
  });
});
