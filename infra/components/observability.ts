import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { instancePrice } from '../aws/prices.ts';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { type AlarmSpec, plainAlarms } from './alarms.ts';
import { AlertTopic } from './alert-topic.ts';
import type { Api } from './api.ts';
import type { Channel } from './channel.ts';
import type { Cluster } from './cluster.ts';
import { Component, type StackIdentity } from './component.ts';
import { dashboardBody } from './dashboard.ts';
import type { GpuTier } from './gpu-tier.ts';
import type { Jobs } from './jobs.ts';
import type { Metering } from './metering.ts';
import { namespaceOf, type Watched, type WatchedTier } from './metrics.ts';
import type { Registrar } from './registrar.ts';
import { patternOf, type ServiceMetric, serviceMetrics } from './service-metrics.ts';
import { type BurnAlarmSpec, burnAlarms } from './slos.ts';
import type { Sweeper } from './sweeper.ts';
import type { Table } from './table.ts';
import type { Webhooks } from './webhooks.ts';

export interface ObservabilityArgs {
  readonly identity: StackIdentity;
  /** `observability` switches the dashboard and the alarms, and names who is told. */
  readonly config: Pick<StackConfig, 'observability' | 'region'>;
  readonly api: Api;
  readonly table: Table;
  readonly jobs: Jobs;
  readonly channel: Channel;
  readonly cluster: Cluster;
  readonly tiers: readonly GpuTier[];
  readonly webhooks: Webhooks;
  readonly metering: Metering;
  readonly registrar: Registrar;
  readonly sweeper: Sweeper;
}

/** What people look at, and what calls them. With neither a dashboard nor alarms it makes nothing. */
export class Observability extends Component {
  /** Of CloudWatch; undefined where there is none. */
  public readonly dashboardUrl: pulumi.Output<string> | undefined;
  /** Where alarms are published, for whom else to tell; undefined where there are none. */
  public readonly topicArn: pulumi.Output<string> | undefined;
  readonly #identity: StackIdentity;

  constructor(name: string, args: ObservabilityArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Observability', name, opts);
    this.#identity = args.identity;
    const { dashboard, alarms, alarmEmails } = args.config.observability;
    const watched = watchedOf(args);
    if (dashboard || alarms) this.#measure(args, watched);
    if (dashboard) this.dashboardUrl = this.#makeDashboard(watched);
    if (alarms) {
      const topic = new AlertTopic(
        this.childName('alarms'),
        { identity: args.identity, publisher: 'cloudwatch.amazonaws.com', emails: alarmEmails },
        { parent: this },
      );
      this.topicArn = topic.arn;
      for (const spec of plainAlarms(watched)) this.#makeAlarm(spec, [topic.arn]);
      for (const spec of burnAlarms(watched)) this.#makeBurnAlarm(spec, topic.arn);
    }
    this.registerOutputs({ dashboardUrl: this.dashboardUrl, topicArn: this.topicArn });
  }

  /** Has the services' logs read for their figures. */
  #measure({ metering, webhooks, sweeper }: ObservabilityArgs, watched: Watched): void {
    const functions = { metering, webhooks, sweeper };
    for (const metric of Object.values<ServiceMetric>(serviceMetrics)) {
      const { name, service, value, dimension, unit } = metric;
      new aws.cloudwatch.LogMetricFilter(
        this.childName(`measure-${kebab(name)}`),
        {
          logGroupName: functions[service].function.logGroupName,
          pattern: patternOf(metric),
          metricTransformation: {
            namespace: namespaceOf(watched),
            name,
            value: value === undefined ? '1' : `$.${value}`,
            unit,
            ...(dimension ? { dimensions: { [dimension.name]: `$.${dimension.field}` } } : {}),
          },
        },
        this.child(),
      );
    }
  }

  #makeDashboard(watched: Watched): pulumi.Output<string> {
    const { project, environment, region } = this.#identity;
    const { dashboardName } = new aws.cloudwatch.Dashboard(
      this.childName('dashboard'),
      {
        dashboardName: physicalName('dashboard', project, environment),
        dashboardBody: pulumi.jsonStringify(dashboardBody(watched)),
      },
      this.child(),
    );
    const console = `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}`;
    return pulumi.interpolate`${console}#dashboards/dashboard/${dashboardName}`;
  }

  /** @param actions who is told; nobody where it is a part of another alarm */
  #makeAlarm(spec: AlarmSpec, actions: readonly pulumi.Input<string>[]): aws.cloudwatch.MetricAlarm {
    const { expression, periodSeconds: period } = spec;
    const metrics = Object.entries(spec.metrics).map(([id, { namespace, name, dimensions, stat }]) => ({
      id,
      metric: { namespace, metricName: name, dimensions, stat, period },
      returnData: expression === undefined,
    }));
    const result = expression === undefined ? [] : [{ id: 'result', expression, returnData: true }];
    return new aws.cloudwatch.MetricAlarm(
      this.childName(spec.name),
      {
        name: this.#alarmName(spec.name),
        alarmDescription:
          actions.length > 0 ? describe(spec) : `${spec.summary}. A part of another alarm; it tells nobody.`,
        metricQueries: [...result, ...metrics],
        comparisonOperator: spec.comparison,
        threshold: spec.threshold,
        evaluationPeriods: spec.periods,
        datapointsToAlarm: spec.datapoints,
        treatMissingData: spec.missing,
        alarmActions: [...actions],
      },
      this.child(),
    );
  }

  #makeBurnAlarm(spec: BurnAlarmSpec, topicArn: pulumi.Output<string>): void {
    const windows = spec.windows.map((window) => this.#makeAlarm(window, []));
    const rules = windows.map((window) => pulumi.interpolate`ALARM("${window.name}")`);
    new aws.cloudwatch.CompositeAlarm(
      this.childName(spec.name),
      {
        alarmName: this.#alarmName(spec.name),
        alarmDescription: describe(spec),
        alarmRule: pulumi.all(rules).apply((all) => all.join(' AND ')),
        alarmActions: [topicArn],
      },
      this.child(),
    );
  }

  #alarmName(role: string): string {
    return physicalName('alarm', this.#identity.project, this.#identity.environment, role);
  }
}

/** What is wrong, and where it says what to do. */
function describe({ name, summary }: Pick<AlarmSpec, 'name' | 'summary'>): string {
  return `${summary}. What to do: docs/runbooks.md#${name}`;
}

function watchedOf(args: ObservabilityArgs): Watched {
  const { identity, api, table, jobs, channel, webhooks, metering, registrar, sweeper } = args;
  return {
    project: identity.project,
    environment: identity.environment,
    region: identity.region,
    loadBalancer: api.loadBalancerArnSuffix,
    targetGroup: api.targetGroupArnSuffix,
    ecsCluster: api.clusterName,
    ecsService: api.serviceName,
    table: table.name,
    cache: channel.cacheName,
    webhooksQueue: webhooks.queueName,
    deadJobs: jobs.deadLetterName,
    deadWebhooks: webhooks.deadLetterName,
    deadPushes: registrar.deadLetterName,
    metering: metering.function.functionName,
    webhooks: webhooks.function.functionName,
    registrar: registrar.function.functionName,
    sweeper: sweeper.function.functionName,
    meteringMapping: metering.mappingId,
    webhooksMapping: webhooks.mappingId,
    tiers: args.tiers.map((tier) => watchedTier(tier, identity.region)),
  };
}

function watchedTier({ sku, tier, autoscalingGroupName }: GpuTier, region: string): WatchedTier {
  const [first = ''] = tier.instanceTypes;
  const price = instancePrice(first, region, tier.capacity) ?? instancePrice(first, region);
  return { sku, autoscalingGroup: autoscalingGroupName, usdPerHour: price?.usd };
}

/** `JobsEnded` → jobs-ended */
function kebab(name: string): string {
  return name.replace(/(?!^)[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
}
