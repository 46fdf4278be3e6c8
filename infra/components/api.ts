import * as aws from '@pulumi/aws';
import * as awsx from '@pulumi/awsx';
import * as pulumi from '@pulumi/pulumi';
import { physicalName } from '../names.ts';
import {
  type ApiEnvironmentParts,
  apiPort,
  apiVariablesOf,
  drainSeconds,
  idleTimeoutSeconds,
  stopTimeoutSeconds,
} from './api-environment.ts';
import { Component, type StackIdentity } from './component.ts';
import { type Grantee, serviceRole } from './grant.ts';
import { LoadBalancer } from './load-balancer.ts';
import type { Network } from './network.ts';
import { PrivateName } from './private-name.ts';
import { loginRoleName } from './registry.ts';
import { createStartRole, tasksOfEcs } from './start-role.ts';
import { leaveTaskCountToScaling } from './task-count.ts';

/** Linux user of the image, and its group. */
const user = '1000:1000';

export interface ApiArgs extends Omit<ApiEnvironmentParts, 'url'> {
  readonly identity: StackIdentity;
  readonly network: Network;
  /** By digest, for linux/arm64. */
  readonly image: pulumi.Output<string>;
}

/** The api: tasks of Fargate behind a load balancer, as many as requests need. */
export class Api extends Component {
  /** What clients call. */
  public readonly url: pulumi.Output<string>;
  /** What the fleet in the cluster calls. */
  public readonly fleetUrl: pulumi.Output<string>;
  public readonly loadBalancerArnSuffix: pulumi.Output<string>;
  public readonly targetGroupArnSuffix: pulumi.Output<string>;
  /** Of ECS. */
  public readonly clusterName: pulumi.Output<string>;
  /** Of ECS. */
  public readonly serviceName: pulumi.Output<string>;
  /** The role of its tasks. */
  public readonly grantee: Grantee;
  /** Its variables; secrets among them are ARNs. */
  public readonly environment: ReturnType<typeof apiVariablesOf>;
  readonly #args: ApiArgs;
  readonly #balancer: LoadBalancer;
  readonly #tasks: pulumi.Output<string>;

  constructor(name: string, args: ApiArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Api', name, opts);
    this.#args = args;
    const { identity, network, config } = args;
    this.#balancer = new LoadBalancer(
      this.childName('entry'),
      {
        identity,
        network,
        config,
        port: apiPort,
        idleTimeoutSeconds,
        deregistrationSeconds: drainSeconds,
      },
      this.child(),
    );
    this.url = this.#balancer.url;
    this.#tasks = this.#createGroup();
    // Machines with addresses of their own are not known to the balancer, so they call tasks inside the network.
    const inside = network.hasPublicMachines
      ? new PrivateName(this.childName('inside'), { identity, network }, this.child())
      : undefined;
    this.fleetUrl = inside ? pulumi.interpolate`http://${inside.host}:${apiPort}` : this.url;
    this.grantee = this.#createRole();
    this.environment = apiVariablesOf({ ...args, url: this.url });

    const cluster = new aws.ecs.Cluster(
      this.childName('cluster'),
      {
        name: physicalName('cluster', identity.project, identity.environment, 'api'),
        // Its metrics cost more than what the dashboard would show of them.
        settings: [{ name: 'containerInsights', value: 'disabled' }],
      },
      this.child(),
    );
    this.clusterName = cluster.name;
    this.serviceName = this.#createService(cluster, inside).service.name;
    this.loadBalancerArnSuffix = this.#balancer.arnSuffix;
    this.targetGroupArnSuffix = this.#balancer.targetGroupArnSuffix;
    this.#scale();
    this.registerOutputs({ url: this.url, fleetUrl: this.fleetUrl, serviceName: this.serviceName });
  }

  /** Who may call tasks, and whom they call. */
  #createGroup(): pulumi.Output<string> {
    const { network, cluster, channel } = this.#args;
    const group = new aws.ec2.SecurityGroup(
      this.childName('tasks'),
      { vpcId: network.vpcId, description: 'Tasks of the api' },
      this.child(),
    );
    const calls = (role: string, from: pulumi.Output<string>, description: string) =>
      new aws.vpc.SecurityGroupIngressRule(
        this.childName(role),
        {
          securityGroupId: group.id,
          referencedSecurityGroupId: from,
          ipProtocol: 'tcp',
          fromPort: apiPort,
          toPort: apiPort,
          description,
        },
        this.child(),
      );
    calls('from-balancer', this.#balancer.securityGroupId, 'The load balancer');
    if (network.hasPublicMachines) calls('from-cluster', cluster.securityGroupId, 'The fleet');
    const may = (role: string, rule: Omit<aws.vpc.SecurityGroupEgressRuleArgs, 'ipProtocol'>) =>
      new aws.vpc.SecurityGroupEgressRule(this.childName(role), { ...rule, ipProtocol: 'tcp' }, this.child());
    may('balancer-to-tasks', {
      securityGroupId: this.#balancer.securityGroupId,
      referencedSecurityGroupId: group.id,
      fromPort: apiPort,
      toPort: apiPort,
      description: 'Tasks',
    });
    may('to-aws', {
      securityGroupId: group.id,
      cidrIpv4: '0.0.0.0/0',
      fromPort: 443,
      toPort: 443,
      description: 'Services of AWS and the public keys of the cluster',
    });
    may('to-channel', {
      securityGroupId: group.id,
      referencedSecurityGroupId: channel.securityGroupId,
      fromPort: 6379,
      toPort: 6379,
      description: 'Valkey',
    });
    channel.allowFrom('api', group.id);
    return group.id;
  }

  #createRole(): Grantee {
    const { identity, table, jobs, outputs, secrets, registry } = this.#args;
    const grantee = serviceRole(this.childName('task'), tasksOfEcs, this.child(), {
      name: loginRoleName(identity),
      description: 'What the api calls',
    });
    table.grant(grantee, ['BatchGetItem', 'ConditionCheckItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query']);
    jobs.grantUse(grantee);
    outputs.grantReadWrite(grantee);
    secrets.grantSigningKey(grantee);
    secrets.grantFirstToken(grantee);
    registry.grantLogin(grantee);
    return grantee;
  }

  #createService(cluster: aws.ecs.Cluster, inside: PrivateName | undefined): awsx.ecs.FargateService {
    const { identity, network, config, image } = this.#args;
    const logs = new aws.cloudwatch.LogGroup(
      this.childName('logs'),
      {
        name: physicalName('logGroup', identity.project, identity.environment, 'api'),
        retentionInDays: config.logs.retentionDays,
      },
      this.child(),
    );
    const { api } = config;
    const start = createStartRole(this.childName('start'), { identity, image, logs }, this.child());
    return new awsx.ecs.FargateService(
      this.childName('service'),
      {
        cluster: cluster.arn,
        desiredCount: api.min,
        networkConfiguration: {
          subnets: network.nodeSubnetIds,
          securityGroups: [this.#tasks],
          // Without NAT it is their only way to AWS's services; nothing comes in by it.
          assignPublicIp: network.hasPublicMachines,
        },
        deploymentCircuitBreaker: { enable: true, rollback: true },
        // One more than there are before one of them goes.
        deploymentMinimumHealthyPercent: 100,
        deploymentMaximumPercent: 200,
        availabilityZoneRebalancing: 'ENABLED',
        healthCheckGracePeriodSeconds: 60,
        propagateTags: 'SERVICE',
        enableEcsManagedTags: true,
        loadBalancers: [
          { targetGroupArn: this.#balancer.targetGroupArn, containerName: 'api', containerPort: apiPort },
        ],
        ...(inside && { serviceRegistries: { registryArn: inside.registryArn } }),
        taskDefinitionArgs: {
          family: physicalName('cluster', identity.project, identity.environment, 'api'),
          cpu: String(api.cpu),
          memory: String(api.memory),
          runtimePlatform: { cpuArchitecture: 'ARM64', operatingSystemFamily: 'LINUX' },
          taskRole: { roleArn: this.grantee.role.arn },
          executionRole: { roleArn: start.role.arn },
          logGroup: { skip: true },
          containers: { api: this.#container(logs) },
        },
      },
      this.child({ dependsOn: [this.#balancer.balancer], ...leaveTaskCountToScaling() }),
    );
  }

  #container(logs: aws.cloudwatch.LogGroup): awsx.types.input.ecs.TaskDefinitionContainerDefinitionArgs {
    const { identity, image } = this.#args;
    const variables = { AWS_REGION: identity.region, ...this.environment };
    return {
      name: 'api',
      image,
      essential: true,
      user,
      readonlyRootFilesystem: true,
      linuxParameters: { capabilities: { drop: ['ALL'] }, initProcessEnabled: true },
      stopTimeout: stopTimeoutSeconds,
      portMappings: [{ containerPort: apiPort, protocol: 'tcp' }],
      environment: Object.entries(variables).map(([name, value]) => ({ name, value })),
      healthCheck: {
        // The image has no shell to speak of, and no curl.
        command: ['CMD', 'node', '-e', isAlive],
        interval: 30,
        timeout: 10,
        retries: 3,
        startPeriod: 60,
      },
      logConfiguration: {
        logDriver: 'awslogs',
        options: {
          'awslogs-group': logs.name,
          'awslogs-region': identity.region,
          'awslogs-stream-prefix': 'api',
        },
      },
    };
  }

  /** As many tasks as requests need: those that wait keep no processor busy, so it is they that are counted. */
  #scale(): void {
    const { min, max, requestsPerTarget } = this.#args.config.api;
    const target = new aws.appautoscaling.Target(
      this.childName('tasks-count'),
      {
        serviceNamespace: 'ecs',
        scalableDimension: 'ecs:service:DesiredCount',
        resourceId: pulumi.interpolate`service/${this.clusterName}/${this.serviceName}`,
        minCapacity: min,
        maxCapacity: max,
      },
      this.child(),
    );
    const resourceLabel = pulumi.interpolate`${this.loadBalancerArnSuffix}/${this.targetGroupArnSuffix}`;
    new aws.appautoscaling.Policy(
      this.childName('requests'),
      {
        serviceNamespace: target.serviceNamespace,
        scalableDimension: target.scalableDimension,
        resourceId: target.resourceId,
        policyType: 'TargetTrackingScaling',
        targetTrackingScalingPolicyConfiguration: {
          predefinedMetricSpecification: {
            predefinedMetricType: 'ALBRequestCountPerTarget',
            resourceLabel,
          },
          targetValue: requestsPerTarget,
          scaleOutCooldown: 60,
          scaleInCooldown: 300,
        },
      },
      this.child(),
    );
  }
}

const isAlive = `fetch('http://127.0.0.1:${apiPort}/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))`;
