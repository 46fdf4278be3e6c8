import type { Input } from '@pulumi/pulumi';
import {
  cacheMetric,
  functionMetric,
  loadBalancerMetric,
  type Metric,
  machinesMetric,
  machinesPeriodSeconds,
  queueMetric,
  type Stat,
  tableMetric,
  targetMetric,
  taskMetric,
  type Watched,
} from './metrics.ts';
import { type ServiceMetric, serviceMetric, serviceMetrics } from './service-metrics.ts';
import { availabilityTarget, queueAgeLimitSeconds } from './slos.ts';

/** Columns of a dashboard, and what a widget takes of them. Source: CloudWatch, "Dashboard body structure". */
const columns = 24;
const widgetWidth = 8;
const widgetHeight = 6;

/** One line of a graph: a metric, or an expression over the ids of others. */
export type Line =
  | { readonly label: string; readonly metric: Metric; readonly id?: string; readonly isHidden?: boolean }
  | { readonly label: string; readonly expression: string };

/** One graph. */
export interface Graph {
  readonly title: string;
  readonly lines: readonly Line[];
  /** @default 60 */
  readonly periodSeconds?: number;
  readonly isStacked?: boolean;
  /** What the left axis counts. */
  readonly unit?: string;
  /** A line across, such as an objective's limit. */
  readonly limit?: { readonly label: string; readonly value: number };
}

/** What the dashboard shows, in order. */
export function graphsOf(watched: Watched): readonly Graph[] {
  return [
    ...trafficGraphs(watched),
    ...predictionGraphs(watched),
    ...tierGraphs(watched),
    ...storeGraphs(watched),
  ];
}

/** The body of a dashboard, for JSON. */
export function dashboardBody(watched: Watched): object {
  const perRow = columns / widgetWidth;
  return {
    widgets: graphsOf(watched).map((graph, at) => ({
      type: 'metric',
      x: (at % perRow) * widgetWidth,
      y: Math.floor(at / perRow) * widgetHeight,
      width: widgetWidth,
      height: widgetHeight,
      properties: {
        title: graph.title,
        region: watched.region,
        view: 'timeSeries',
        stacked: graph.isStacked ?? false,
        period: graph.periodSeconds ?? 60,
        metrics: graph.lines.map(metricEntry),
        yAxis: { left: { min: 0, ...(graph.unit ? { label: graph.unit, showUnits: false } : {}) } },
        ...(graph.limit ? { annotations: { horizontal: [graph.limit] } } : {}),
      },
    })),
  };
}

/** As the body of a dashboard writes a metric: namespace, name, dimension by dimension, options. */
function metricEntry(line: Line): readonly unknown[] {
  if ('expression' in line) return [{ expression: line.expression, label: line.label }];
  const { namespace, name, dimensions, stat } = line.metric;
  const pairs = Object.entries<Input<string>>(dimensions).flat();
  const options = {
    stat,
    label: line.label,
    ...(line.id ? { id: line.id } : {}),
    ...(line.isHidden ? { visible: false } : {}),
  };
  return [namespace, name, ...pairs, options];
}

function trafficGraphs(watched: Watched): readonly Graph[] {
  const time = (stat: Stat) => targetMetric(watched, 'TargetResponseTime', stat);
  return [
    {
      title: 'Requests a minute',
      lines: [
        { label: 'all', metric: loadBalancerMetric(watched, 'RequestCount', 'Sum') },
        { label: '4xx', metric: targetMetric(watched, 'HTTPCode_Target_4XX_Count', 'Sum') },
        { label: '5xx', metric: targetMetric(watched, 'HTTPCode_Target_5XX_Count', 'Sum') },
        {
          label: '5xx, no task answered',
          metric: loadBalancerMetric(watched, 'HTTPCode_ELB_5XX_Count', 'Sum'),
        },
      ],
    },
    {
      title: 'Seconds to answer (with Prefer: wait: the prediction, too)',
      lines: [
        { label: 'p50', metric: time('p50') },
        { label: 'p90', metric: time('p90') },
        { label: 'p99', metric: time('p99') },
      ],
    },
    {
      title: 'Availability, % of requests of an hour',
      periodSeconds: 3600,
      limit: { label: 'objective', value: availabilityTarget * 100 },
      lines: [
        hidden('requests', loadBalancerMetric(watched, 'RequestCount', 'Sum')),
        hidden('unserved', loadBalancerMetric(watched, 'HTTPCode_ELB_5XX_Count', 'Sum')),
        hidden('failed', targetMetric(watched, 'HTTPCode_Target_5XX_Count', 'Sum')),
        {
          label: 'served',
          expression: '100*(1-(FILL(unserved,0)+FILL(failed,0))/(FILL(requests,0)+FILL(unserved,0)))',
        },
      ],
    },
    {
      title: 'The api: CPU and memory, %',
      lines: [
        { label: 'CPU', metric: taskMetric(watched, 'CPUUtilization', 'Maximum') },
        { label: 'memory', metric: taskMetric(watched, 'MemoryUtilization', 'Maximum') },
      ],
    },
  ];
}

function predictionGraphs(watched: Watched): readonly Graph[] {
  const own = (metric: ServiceMetric, stat: Stat, of?: string) => serviceMetric(watched, metric, stat, of);
  return [
    {
      title: 'Predictions and trainings that ended, a minute',
      isStacked: true,
      lines: ['succeeded', 'failed', 'canceled'].map((status) => ({
        label: status,
        metric: own(serviceMetrics.jobsEnded, 'Sum', status),
      })),
    },
    {
      title: 'Queue age, seconds: the oldest that waits',
      limit: { label: 'objective', value: queueAgeLimitSeconds },
      lines: [{ label: 'oldest', metric: own(serviceMetrics.queueAge, 'Maximum') }],
    },
    {
      title: 'Seconds that predictions waited, at their end',
      lines: [
        { label: 'mean', metric: own(serviceMetrics.jobWait, 'Average') },
        { label: 'longest', metric: own(serviceMetrics.jobWait, 'Maximum') },
      ],
    },
    {
      title: 'Webhook tries a minute',
      lines: [
        { label: 'delivered', metric: own(serviceMetrics.webhooksDelivered, 'Sum') },
        { label: 'refused, tried again', metric: own(serviceMetrics.webhooksRefused, 'Sum') },
        { label: 'given up', metric: own(serviceMetrics.webhooksDead, 'Sum') },
      ],
    },
  ];
}

function tierGraphs(watched: Watched): readonly Graph[] {
  const { tiers } = watched;
  const own = (metric: ServiceMetric, stat: Stat, of: string) => serviceMetric(watched, metric, stat, of);
  const priced = tiers.flatMap(({ usdPerHour, ...tier }) =>
    usdPerHour === undefined ? [] : [{ ...tier, usdPerHour, id: idOf(tier.sku) }],
  );
  return [
    {
      title: 'Cold starts, seconds (mean), and how many',
      periodSeconds: 300,
      lines: tiers.flatMap(({ sku }) => [
        { label: sku, metric: own(serviceMetrics.coldStart, 'Average', sku) },
        { label: `${sku}, how many`, metric: own(serviceMetrics.coldStart, 'SampleCount', sku) },
      ]),
    },
    {
      title: 'Instances: copies of models',
      isStacked: true,
      lines: tiers.map(({ sku }) => ({ label: sku, metric: own(serviceMetrics.instances, 'Maximum', sku) })),
    },
    {
      title: 'Machines',
      isStacked: true,
      periodSeconds: machinesPeriodSeconds,
      lines: tiers.map((tier) => ({ label: tier.sku, metric: machinesMetric(tier) })),
    },
    {
      title: 'Spend: what machines cost, USD an hour',
      isStacked: true,
      periodSeconds: machinesPeriodSeconds,
      lines: [
        ...priced.map((tier) => hidden(tier.id, machinesMetric({ ...tier }))),
        ...priced.map(({ sku, id, usdPerHour }) => ({
          label: sku,
          expression: `FILL(${id},0)*${usdPerHour}`,
        })),
      ],
    },
    {
      title: 'Billed to accounts, USD an hour',
      isStacked: true,
      periodSeconds: 3600,
      lines: [
        ...tiers.map(({ sku }) => hidden(idOf(sku), own(serviceMetrics.billed, 'Sum', sku))),
        ...tiers.map(({ sku }) => ({ label: sku, expression: `FILL(${idOf(sku)},0)/1000000` })),
      ],
    },
  ];
}

function storeGraphs(watched: Watched): readonly Graph[] {
  const functions = { metering: watched.metering, webhooks: watched.webhooks };
  const all = { ...functions, registrar: watched.registrar, sweeper: watched.sweeper };
  const waiting = (queue: Input<string>) =>
    queueMetric(queue, 'ApproximateNumberOfMessagesVisible', 'Maximum');
  return [
    {
      title: 'Dead letters, and webhooks that wait',
      lines: [
        { label: 'dead: predictions', metric: waiting(watched.deadJobs) },
        { label: 'dead: webhooks', metric: waiting(watched.deadWebhooks) },
        { label: 'dead: pushes', metric: waiting(watched.deadPushes) },
        { label: 'webhooks that wait', metric: waiting(watched.webhooksQueue) },
      ],
    },
    {
      title: 'Functions: calls that failed, a minute',
      lines: Object.entries(all).map(([label, name]) => ({
        label,
        metric: functionMetric(name, 'Errors', 'Sum'),
      })),
    },
    {
      title: 'Functions: how far behind the table, ms',
      lines: Object.entries(functions).map(([label, name]) => ({
        label,
        metric: functionMetric(name, 'IteratorAge', 'Maximum'),
      })),
    },
    {
      title: 'Table: units a minute',
      lines: [
        { label: 'writes', metric: tableMetric(watched, 'ConsumedWriteCapacityUnits', 'Sum') },
        { label: 'reads', metric: tableMetric(watched, 'ConsumedReadCapacityUnits', 'Sum') },
      ],
    },
    {
      title: 'Channel: units a minute, and commands that were throttled',
      lines: [
        { label: 'units', metric: cacheMetric(watched, 'ElastiCacheProcessingUnits', 'Sum') },
        { label: 'throttled', metric: cacheMetric(watched, 'ThrottledCmds', 'Sum') },
      ],
    },
  ];
}

function hidden(id: string, metric: Metric): Line {
  return { label: id, id, metric, isHidden: true };
}

/** Ids begin with a lower-case letter and have no hyphens. */
function idOf(sku: string): string {
  return `m_${sku.replaceAll('-', '_')}`;
}
