import type { Input } from '@pulumi/pulumi';

/** How the points of a period become one. */
export type Stat = 'Sum' | 'Average' | 'Maximum' | 'Minimum' | 'SampleCount' | 'p50' | 'p90' | 'p99';

/** One metric of CloudWatch. */
export interface Metric {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Readonly<Record<string, Input<string>>>;
  readonly stat: Stat;
}

/** What a stack's figures are about, by the names that AWS and the services give it. */
export interface Watched {
  readonly project: string;
  readonly environment: string;
  readonly region: string;
  /** `app/NAME/ID` and `targetgroup/NAME/ID`. */
  readonly loadBalancer: Input<string>;
  readonly targetGroup: Input<string>;
  readonly ecsCluster: Input<string>;
  readonly ecsService: Input<string>;
  readonly table: Input<string>;
  /** The channel's cache. */
  readonly cache: Input<string>;
  /** Queues. */
  readonly webhooksQueue: Input<string>;
  readonly deadJobs: Input<string>;
  readonly deadWebhooks: Input<string>;
  readonly deadPushes: Input<string>;
  /** Functions. */
  readonly metering: Input<string>;
  readonly webhooks: Input<string>;
  readonly registrar: Input<string>;
  readonly sweeper: Input<string>;
  /** Event source mappings of the table's stream. */
  readonly meteringMapping: Input<string>;
  readonly webhooksMapping: Input<string>;
  readonly tiers: readonly WatchedTier[];
}

/** Machines of one hardware. */
export interface WatchedTier {
  readonly sku: string;
  readonly autoscalingGroup: Input<string>;
  /** What one costs on AWS; undefined where the price is not known. */
  readonly usdPerHour: number | undefined;
}

/** Where a stack's own metrics are, such as `mimeo/dev`. */
export function namespaceOf({ project, environment }: Pick<Watched, 'project' | 'environment'>): string {
  return `${project}/${environment}`;
}

/** Of the load balancer: `RequestCount`, `HTTPCode_ELB_5XX_Count` and the like. */
export function loadBalancerMetric(watched: Watched, name: string, stat: Stat): Metric {
  return {
    namespace: 'AWS/ApplicationELB',
    name,
    dimensions: { LoadBalancer: watched.loadBalancer },
    stat,
  };
}

/** Of the api's targets behind it. */
export function targetMetric(watched: Watched, name: string, stat: Stat): Metric {
  const { loadBalancer: LoadBalancer, targetGroup: TargetGroup } = watched;
  return { namespace: 'AWS/ApplicationELB', name, dimensions: { LoadBalancer, TargetGroup }, stat };
}

/** Of the api's tasks. */
export function taskMetric(watched: Watched, name: string, stat: Stat): Metric {
  const dimensions = { ClusterName: watched.ecsCluster, ServiceName: watched.ecsService };
  return { namespace: 'AWS/ECS', name, dimensions, stat };
}

/** Of a queue. */
export function queueMetric(QueueName: Input<string>, name: string, stat: Stat): Metric {
  return { namespace: 'AWS/SQS', name, dimensions: { QueueName }, stat };
}

/** Of a function. */
export function functionMetric(FunctionName: Input<string>, name: string, stat: Stat): Metric {
  return { namespace: 'AWS/Lambda', name, dimensions: { FunctionName }, stat };
}

/** Of an event source mapping that has `EventCount` metrics. */
export function mappingMetric(EventSourceMappingUUID: Input<string>, name: string): Metric {
  return { namespace: 'AWS/Lambda', name, dimensions: { EventSourceMappingUUID }, stat: 'Sum' };
}

/** Of the table. */
export function tableMetric({ table: TableName }: Watched, name: string, stat: Stat): Metric {
  return { namespace: 'AWS/DynamoDB', name, dimensions: { TableName }, stat };
}

/** Of the channel's cache. Source: ElastiCache, "Metrics and events for Valkey and Redis OSS serverless caches". */
export function cacheMetric({ cache: clusterId }: Watched, name: string, stat: Stat): Metric {
  return { namespace: 'AWS/ElastiCache', name, dimensions: { clusterId }, stat };
}

/**
 * Machines of a tier that run: groups of EKS publish no counts, but every machine tells its CPU once in five minutes, so
 * that the points of such a period are as many as the machines. Source: EC2, "List the available CloudWatch metrics".
 */
export function machinesMetric({ autoscalingGroup }: WatchedTier): Metric {
  const dimensions = { AutoScalingGroupName: autoscalingGroup };
  return { namespace: 'AWS/EC2', name: 'CPUUtilization', dimensions, stat: 'SampleCount' };
}

/** Seconds of the period that `machinesMetric` is right for. */
export const machinesPeriodSeconds = 300;
