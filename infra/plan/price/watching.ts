import type { RecordedResource } from '../record.ts';
import type { Charge } from './cost-line.ts';
import type { ResourceGraph } from './graph.ts';
import { listAt, textAt, valueAt } from './inputs.ts';
import { monthly, type Pricers, priceOf } from './pricer.ts';
import { loadInWords, machinesAtPeak, predictionsAtPeak, usage } from './usage.ts';

const kbPerGb = 1e6;
const daysPerMonth = 30;

/** Logs, metrics, alarms, dashboards and budgets. Free tiers of an account are not taken off. */
export const watchingPricers: Pricers = {
  'aws:cloudwatch/logGroup:LogGroup': logGroup,
  'aws:cloudwatch/metricAlarm:MetricAlarm': (alarm, graph) => {
    // An alarm is charged by the metrics that it looks at.
    const queries = listAt(alarm.inputs, 'metricQueries').filter(
      (one) => valueAt(one, 'metric') !== undefined,
    );
    const metrics = Math.max(1, queries.length);
    return [monthly('alarm', 'alarm metric', priceOf(graph, 'cloudwatch', 'alarm_month'), metrics)];
  },
  'aws:cloudwatch/compositeAlarm:CompositeAlarm': (_alarm, graph) => [
    monthly('alarm of alarms', 'alarm', priceOf(graph, 'cloudwatch', 'composite_alarm_month')),
  ],
  'aws:cloudwatch/logMetricFilter:LogMetricFilter': (_filter, graph) => [
    {
      ...monthly('metric from logs', 'metric', priceOf(graph, 'cloudwatch', 'custom_metric_month')),
      assumption: 'one metric a filter: dimensions make more',
    },
  ],
  'aws:cloudwatch/dashboard:Dashboard': (_dashboard, graph) => [
    monthly('dashboard', 'dashboard', priceOf(graph, 'cloudwatch', 'dashboard_month')),
  ],
  'aws:budgets/budgetAction:BudgetAction': (_action, graph) => [
    {
      what: 'budget with an action',
      unit: 'day',
      price: priceOf(graph, 'budgets', 'action_day'),
      idle: daysPerMonth,
      peak: daysPerMonth,
      assumption: 'the first two of an account are free, and not taken off',
    },
  ],
};

/** What a group of logs takes in: by what writes to it, which stands in its component. */
function logGroup(group: RecordedResource, graph: ResourceGraph): readonly Charge[] {
  const ingested = ingestedGb(group, graph);
  if (!ingested) return [];
  const price = priceOf(graph, 'cloudwatch', 'logs_ingest_gb');
  return [{ what: ingested.what, unit: 'GB', price, ...ingested.gb, assumption: ingested.assumption }];
}

interface Ingested {
  readonly what: string;
  readonly gb: { readonly idle: number; readonly peak: number };
  readonly assumption: string;
}

function ingestedGb(group: RecordedResource, graph: ResourceGraph): Ingested | undefined {
  const name = textAt(group.inputs, 'name') ?? group.name;
  const beside = (type: string) => graph.relatedOf(group, type)[0];
  const cluster = beside('aws:eks/cluster:Cluster');
  if (cluster && /\/aws\/eks\//.test(name)) {
    const kinds = listAt(cluster.inputs, 'enabledClusterLogTypes').length;
    const gb = kinds * usage.clusterLogGb;
    const assumption = `${usage.clusterLogGb} GB for each of the control plane's logs that is on`;
    return { what: "control plane's logs", gb: { idle: gb, peak: gb }, assumption };
  }
  if (beside('aws:ec2/flowLog:FlowLog')) {
    const peak = usage.flowLogGbIdle + machinesAtPeak(graph) * usage.flowLogGbPerMachine;
    const assumption = `${usage.flowLogGbIdle} GB, and ${usage.flowLogGbPerMachine} for each machine at peak`;
    return { what: 'flow logs', gb: { idle: usage.flowLogGbIdle, peak }, assumption };
  }
  if (!beside('awsx:ecs:FargateService') && !beside('aws:ecs/service:Service')) return undefined;
  const peak = (predictionsAtPeak(graph) * usage.logKb) / kbPerGb;
  return {
    what: "api's logs",
    gb: { idle: 0, peak },
    assumption: `${loadInWords(graph)}, ${usage.logKb} KB each`,
  };
}
