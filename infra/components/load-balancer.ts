import * as aws from '@pulumi/aws';
import * as awsx from '@pulumi/awsx';
import * as pulumi from '@pulumi/pulumi';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { Certificate } from './certificate.ts';
import { Component, type StackIdentity } from './component.ts';
import type { Network } from './network.ts';

/** TLS 1.3, and 1.2 for clients that cannot. Source: Elastic Load Balancing, "Security policies". */
const tlsPolicy = 'ELBSecurityPolicy-TLS13-1-2-2021-06';

export interface LoadBalancerArgs {
  readonly identity: StackIdentity;
  readonly network: Network;
  readonly config: Pick<StackConfig, 'api' | 'network' | 'protection'>;
  /** Where tasks listen. */
  readonly port: number;
  /** A connection on which nothing goes by for so long is closed. */
  readonly idleTimeoutSeconds: number;
  /** A task that leaves may go on with its requests for so long. */
  readonly deregistrationSeconds: number;
}

/**
 * What clients call. With a certificate it speaks TLS and sends plain HTTP there; without one it speaks plain HTTP, which
 * the configuration allows in dev only and to known addresses.
 */
export class LoadBalancer extends Component {
  /** What clients call. */
  public readonly url: pulumi.Output<string>;
  /** Its own, which may call tasks. */
  public readonly securityGroupId: pulumi.Output<string>;
  public readonly targetGroupArn: pulumi.Output<string>;
  /** For metrics: app/NAME/ID and targetgroup/NAME/ID. */
  public readonly arnSuffix: pulumi.Output<string>;
  public readonly targetGroupArnSuffix: pulumi.Output<string>;
  /** What must stand before a service can have targets in it. */
  public readonly balancer: awsx.lb.ApplicationLoadBalancer;
  readonly #args: LoadBalancerArgs;

  constructor(name: string, args: LoadBalancerArgs, opts?: pulumi.ComponentResourceOptions) {
    super('LoadBalancer', name, opts);
    this.#args = args;
    const certificateArn = this.#certificate();
    this.securityGroupId = this.#createGroup(certificateArn ? 443 : 80);
    this.balancer = this.#createBalancer(certificateArn);
    const { loadBalancer, defaultTargetGroup } = this.balancer;
    this.targetGroupArn = defaultTargetGroup.arn;
    this.targetGroupArnSuffix = defaultTargetGroup.arnSuffix;
    this.arnSuffix = loadBalancer.arnSuffix;
    const { domain } = args.config.api;
    this.#nameIt();
    this.url =
      certificateArn && domain !== undefined
        ? pulumi.output(`https://${domain}`)
        : loadBalancer.dnsName.apply((dnsName) => `http://${dnsName}`);
    this.registerOutputs({ url: this.url });
  }

  #certificate(): pulumi.Input<string> | undefined {
    const { certificateArn, hostedZoneId, domain } = this.#args.config.api;
    if (certificateArn !== undefined) return certificateArn;
    if (hostedZoneId === undefined || domain === undefined) return undefined;
    return new Certificate(this.childName('certificate'), { domain, hostedZoneId }, this.child()).arn;
  }

  /** @param port of the listener that serves requests */
  #createGroup(port: number): pulumi.Output<string> {
    const { network, config } = this.#args;
    const group = new aws.ec2.SecurityGroup(
      this.childName('group'),
      { vpcId: network.vpcId, description: 'What clients call' },
      this.child(),
    );
    const allow = (role: string, cidrIpv4: pulumi.Input<string>, to: number, description: string) =>
      new aws.vpc.SecurityGroupIngressRule(
        this.childName(role),
        { securityGroupId: group.id, cidrIpv4, ipProtocol: 'tcp', fromPort: to, toPort: to, description },
        this.child(),
      );
    // The redirect is for whoever types an address, so for the same callers.
    for (const to of port === 443 ? [443, 80] : [80]) {
      for (const [at, cidr] of config.api.allowedCidrs.entries())
        allow(`from-${at}-${to}`, cidr, to, 'Clients');
    }
    for (let at = 0; at < gatewaysOf(config.network); at += 1) {
      const cidr = network.egressCidrs.apply((cidrs: readonly string[]) => cidrs[at] ?? '');
      allow(`from-cluster-${at}`, cidr, port, 'The way out of the cluster');
    }
    return group.id;
  }

  #createBalancer(certificateArn: pulumi.Input<string> | undefined): awsx.lb.ApplicationLoadBalancer {
    const { identity, network, config, port, idleTimeoutSeconds, deregistrationSeconds } = this.#args;
    return new awsx.lb.ApplicationLoadBalancer(
      this.childName('balancer'),
      {
        name: physicalName('loadBalancer', identity.project, identity.environment),
        subnetIds: network.publicSubnetIds,
        securityGroups: [this.securityGroupId],
        defaultSecurityGroup: { skip: true },
        idleTimeout: idleTimeoutSeconds,
        dropInvalidHeaderFields: true,
        enableDeletionProtection: config.protection.deletion,
        listeners: listeners(certificateArn),
        defaultTargetGroup: {
          port,
          protocol: 'HTTP',
          targetType: 'ip',
          vpcId: network.vpcId,
          deregistrationDelay: deregistrationSeconds,
          // Requests that wait for a prediction cost a task nothing, so a fair share of requests is no fair share of work.
          loadBalancingAlgorithmType: 'least_outstanding_requests',
          healthCheck: {
            path: '/readyz',
            matcher: '200',
            interval: 10,
            timeout: 5,
            healthyThreshold: 2,
            unhealthyThreshold: 3,
          },
        },
      },
      this.child(),
    );
  }

  /** Gives it the name that clients call, where the name's zone is known. */
  #nameIt(): void {
    const { domain, hostedZoneId } = this.#args.config.api;
    if (domain === undefined || hostedZoneId === undefined) return;
    const { dnsName, zoneId } = this.balancer.loadBalancer;
    new aws.route53.Record(
      this.childName('name'),
      {
        zoneId: hostedZoneId,
        name: domain,
        type: 'A',
        aliases: [{ name: dnsName, zoneId, evaluateTargetHealth: false }],
      },
      this.child(),
    );
  }
}

function listeners(certificateArn: pulumi.Input<string> | undefined): awsx.types.input.lb.ListenerArgs[] {
  if (certificateArn === undefined) return [{ port: 80, protocol: 'HTTP' }];
  const redirect = { protocol: 'HTTPS', port: '443', statusCode: 'HTTP_301' };
  return [
    { port: 443, protocol: 'HTTPS', certificateArn, sslPolicy: tlsPolicy },
    { port: 80, protocol: 'HTTP', defaultActions: [{ type: 'redirect', redirect }] },
  ];
}

/** How many addresses the cluster calls from. */
function gatewaysOf({ nat, availabilityZones }: StackConfig['network']): number {
  return { none: 0, single: 1, 'one-per-az': availabilityZones }[nat];
}
