import * as aws from '@pulumi/aws';
import * as awsx from '@pulumi/awsx';
import type * as pulumi from '@pulumi/pulumi';
import { output } from '@pulumi/pulumi';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import { grant, serviceRole } from './grant.ts';

export interface NetworkArgs {
  readonly identity: StackIdentity;
  readonly settings: StackConfig['network'];
  /** Names of the zones that it spans. */
  readonly zones: readonly string[];
  /** How long flow logs are kept. */
  readonly logs: StackConfig['logs'];
}

const natStrategies = { none: 'None', single: 'Single', 'one-per-az': 'OnePerAz' } as const;

/**
 * The VPC. Without NAT machines stand in public subnets and have addresses of their own, into which security groups let
 * nothing; stores stand in subnets that reach nothing. With NAT both stand in private subnets.
 */
export class Network extends Component {
  public readonly vpcId: pulumi.Output<string>;
  /** Where load balancers stand. */
  public readonly publicSubnetIds: pulumi.Output<string[]>;
  /** Where machines and tasks stand. */
  public readonly nodeSubnetIds: pulumi.Output<string[]>;
  /** Where the cache stands. */
  public readonly storeSubnetIds: pulumi.Output<string[]>;
  /** Whether machines have addresses of the internet. */
  public readonly hasPublicMachines: boolean;
  /** Addresses from which machines call the internet, as /32 blocks; none where each machine has its own. */
  public readonly egressCidrs: pulumi.Output<string[]>;

  readonly #identity: StackIdentity;
  readonly #settings: StackConfig['network'];

  constructor(name: string, args: NetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Network', name, opts);
    const { identity, settings, zones, logs } = args;
    this.#identity = identity;
    this.#settings = settings;
    this.hasPublicMachines = settings.nat === 'none';

    const vpc = this.#createVpc(zones);
    this.vpcId = vpc.vpcId;
    this.publicSubnetIds = vpc.publicSubnetIds;
    this.nodeSubnetIds = this.hasPublicMachines ? vpc.publicSubnetIds : vpc.privateSubnetIds;
    this.storeSubnetIds = this.hasPublicMachines ? vpc.isolatedSubnetIds : vpc.privateSubnetIds;
    this.egressCidrs = this.hasPublicMachines
      ? output<string[]>([])
      : vpc.eips.apply((eips) => output(eips.map(({ publicIp }) => publicIp))).apply(asBlocks);
    this.#createInterfaceEndpoints();
    if (settings.flowLogs) this.#createFlowLog(logs.retentionDays);
    this.registerOutputs({ vpcId: this.vpcId, egressCidrs: this.egressCidrs });
  }

  #createVpc(zones: readonly string[]): awsx.ec2.Vpc {
    const { region } = this.#identity;
    const { cidr, nat } = this.#settings;
    const second = this.hasPublicMachines ? 'Isolated' : 'Private';
    return new awsx.ec2.Vpc(
      this.childName('vpc'),
      {
        cidrBlock: cidr,
        availabilityZoneNames: [...zones],
        enableDnsHostnames: true,
        enableDnsSupport: true,
        natGateways: { strategy: natStrategies[nat] },
        subnetStrategy: 'Auto',
        // Half of a zone's addresses each: pods have addresses of the subnet of their machine.
        subnetSpecs: [
          // By these tags EKS tells which subnets a load balancer may stand in. In public ones awsx has machines given
          // addresses, without which managed node groups refuse them.
          { type: 'Public', name: 'public', tags: { 'kubernetes.io/role/elb': '1' } },
          { type: second, name: second.toLowerCase(), tags: internalTags(second) },
        ],
        // Free, and models' images, whose layers lie in S3, would cross NAT at $0.045/GB without. They are the
        // component's own, because only it knows every route table that they must be entered in.
        vpcEndpointStrategy: 'Auto',
        vpcEndpointSpecs: ['s3', 'dynamodb'].map((service) => ({
          serviceName: `com.amazonaws.${region}.${service}`,
          vpcEndpointType: 'Gateway',
        })),
      },
      this.child(),
    );
  }

  #createInterfaceEndpoints(): void {
    const { region } = this.#identity;
    const { interfaceEndpoints, cidr } = this.#settings;
    if (interfaceEndpoints.length === 0) return;
    const group = new aws.ec2.SecurityGroup(
      this.childName('endpoints'),
      { description: 'Interface endpoints of AWS services', vpcId: this.vpcId },
      this.child(),
    );
    new aws.vpc.SecurityGroupIngressRule(
      this.childName('endpoints-from-vpc'),
      {
        securityGroupId: group.id,
        description: 'TLS from inside the VPC',
        cidrIpv4: cidr,
        ipProtocol: 'tcp',
        fromPort: 443,
        toPort: 443,
      },
      this.child(),
    );
    for (const service of interfaceEndpoints) {
      new aws.ec2.VpcEndpoint(
        this.childName(`endpoint-${service.replaceAll('.', '-')}`),
        {
          vpcId: this.vpcId,
          vpcEndpointType: 'Interface',
          serviceName: `com.amazonaws.${region}.${service}`,
          privateDnsEnabled: true,
          subnetIds: this.nodeSubnetIds,
          securityGroupIds: [group.id],
        },
        this.child(),
      );
    }
  }

  #createFlowLog(retentionInDays: number): void {
    const { project, environment } = this.#identity;
    const group = new aws.cloudwatch.LogGroup(
      this.childName('flow-logs'),
      { name: `/${physicalName('logGroup', project, environment)}/flow-logs`, retentionInDays },
      this.child(),
    );
    const writer = serviceRole(this.childName('flow-log'), 'vpc-flow-logs.amazonaws.com', this.child(), {
      name: physicalName('role', project, environment, 'flow-logs'),
      description: 'Writes the flow logs of the VPC',
    });
    // Source: VPC user guide, "IAM role for publishing flow logs to CloudWatch Logs". The group is there already.
    const permission = grant(
      this.childName('write'),
      writer,
      [
        {
          actions: ['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'],
          resources: [group.arn.apply((arn) => `${arn}:*`)],
        },
      ],
      this.child(),
    );
    new aws.ec2.FlowLog(
      this.childName('flow-log'),
      {
        vpcId: this.vpcId,
        trafficType: 'ALL',
        logDestinationType: 'cloud-watch-logs',
        logDestination: group.arn,
        iamRoleArn: writer.role.arn,
        maxAggregationInterval: 600,
      },
      this.child({ dependsOn: [permission] }),
    );
  }
}

function internalTags(type: 'Isolated' | 'Private'): Record<string, string> {
  return type === 'Private' ? { 'kubernetes.io/role/internal-elb': '1' } : {};
}

function asBlocks(addresses: readonly string[]): string[] {
  return addresses.map((address) => `${address}/32`);
}
