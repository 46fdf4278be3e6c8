import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import type { Network } from './network.ts';

/** Where ElastiCache Serverless takes reads and writes; its reader's port is another. */
const port = 6379;

export interface ChannelArgs {
  readonly identity: StackIdentity;
  /** It stands in the network's subnets for stores. */
  readonly network: Network;
  /** Most that it may hold and do. */
  readonly settings: StackConfig['channel'];
}

/**
 * Live events, doorbells and limits: a serverless Valkey that is paid by use. It holds nothing that must last, so it
 * has no snapshots. Whom it lets in is decided by security groups: see `allowFrom`.
 */
export class Channel extends Component {
  /** rediss://host:port */
  public readonly url: pulumi.Output<string>;
  public readonly securityGroupId: pulumi.Output<string>;
  /** For its metrics. */
  public readonly cacheName: pulumi.Output<string>;

  constructor(name: string, args: ChannelArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Channel', name, opts);
    const { identity, network, settings } = args;
    const group = new aws.ec2.SecurityGroup(
      this.childName('group'),
      {
        vpcId: network.vpcId,
        description: 'Valkey, for who is let in by name',
        // It calls nobody.
        egress: [],
      },
      this.child(),
    );
    const cache = new aws.elasticache.ServerlessCache(
      this.childName('cache'),
      {
        name: physicalName('cache', identity.project, identity.environment),
        engine: 'valkey',
        majorEngineVersion: '8',
        description: `Live events of ${identity.project} ${identity.environment}`,
        // No minimums: those are paid for whether they are used or not.
        cacheUsageLimits: {
          dataStorage: { maximum: settings.maxGb, unit: 'GB' },
          ecpuPerSeconds: [{ maximum: settings.maxEcpuPerSecond }],
        },
        securityGroupIds: [group.id],
        subnetIds: network.storeSubnetIds,
      },
      this.child(),
    );
    this.securityGroupId = group.id;
    this.cacheName = cache.name;
    this.url = cache.endpoints.apply(
      ([endpoint]) => `rediss://${endpoint?.address}:${endpoint?.port ?? port}`,
    );
    this.registerOutputs({ url: this.url, securityGroupId: this.securityGroupId });
  }

  /**
   * Lets members of a security group in.
   * @param name logical, of who they are: the rule is `<this>-from-<name>`
   */
  public allowFrom(name: string, securityGroupId: pulumi.Output<string>): void {
    new aws.vpc.SecurityGroupIngressRule(
      this.childName(`from-${name}`),
      {
        securityGroupId: this.securityGroupId,
        referencedSecurityGroupId: securityGroupId,
        ipProtocol: 'tcp',
        fromPort: port,
        toPort: port,
        description: `Valkey from ${name}`,
      },
      this.child(),
    );
  }
}
