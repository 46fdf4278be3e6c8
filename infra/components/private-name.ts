import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { Component, type StackIdentity } from './component.ts';
import type { Network } from './network.ts';

/** Seconds for which resolvers remember where tasks are. */
const ttlSeconds = 10;

export interface PrivateNameArgs {
  readonly identity: StackIdentity;
  readonly network: Network;
}

/** A name inside the VPC, api.PROJECT-ENVIRONMENT.internal, that stands for the tasks of one service of ECS. */
export class PrivateName extends Component {
  /** api.PROJECT-ENVIRONMENT.internal */
  public readonly host: pulumi.Output<string>;
  /** What the service of ECS registers its tasks in. */
  public readonly registryArn: pulumi.Output<string>;

  constructor(name: string, args: PrivateNameArgs, opts?: pulumi.ComponentResourceOptions) {
    super('PrivateName', name, opts);
    const { identity, network } = args;
    const zone = `${identity.project}-${identity.environment}.internal`.toLowerCase();
    const namespace = new aws.servicediscovery.PrivateDnsNamespace(
      this.childName('namespace'),
      { name: zone, vpc: network.vpcId, description: 'Services inside the network' },
      this.child(),
    );
    const service = new aws.servicediscovery.Service(
      this.childName('service'),
      {
        name: 'api',
        dnsConfig: {
          namespaceId: namespace.id,
          dnsRecords: [{ type: 'A', ttl: ttlSeconds }],
          routingPolicy: 'MULTIVALUE',
        },
        // Tasks that are gone may still be entered when the stack goes.
        forceDestroy: true,
      },
      this.child(),
    );
    this.host = pulumi.interpolate`${service.name}.${namespace.name}`;
    this.registryArn = service.arn;
    this.registerOutputs({ host: this.host });
  }
}
