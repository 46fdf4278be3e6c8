import { describe, expect, it } from 'vitest';
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
      numberOfAvailabilityZones: 2,
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
      numberOfAvailabilityZones: 3,
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
