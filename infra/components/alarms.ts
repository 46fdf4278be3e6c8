import {
  cacheMetric,
  functionMetric,
  type Metric,
  mappingMetric,
  queueMetric,
  type Watched,
} from './metrics.ts';
import { serviceMetric, serviceMetrics } from './service-metrics.ts';

/** An alarm, as CloudWatch evaluates it. */
export interface AlarmSpec {
  /** Also the heading of its runbook in docs/runbooks.md. */
  readonly name: string;
  /** What is wrong, in a sentence. */
  readonly summary: string;
  /** By the ids that `expression` names. */
  readonly metrics: Readonly<Record<string, Metric>>;
  /** Metric math. @default the one metric itself */
  readonly expression?: string;
  readonly periodSeconds: number;
  /** Periods that are looked at, and how many of them have to be beyond the threshold. */
  readonly periods: number;
  readonly datapoints: number;
  readonly comparison: 'GreaterThanThreshold' | 'LessThanThreshold';
  readonly threshold: number;
  /** What a period without a point counts as. */
  readonly missing: 'breaching' | 'notBreaching';
}

/** Seconds by which the table's stream may be behind before somebody is called: billing and webhooks wait with it. */
const lateFeedSeconds = 900;
/** Minutes without a sweep. */
const unsweptMinutes = 10;

/**
 * What a person has to do something about, beside the objectives (slos.ts); what mends itself, or is a model's or a
 * receiver's fault, rings no alarm.
 *
 * CloudWatch bills each metric of an alarm $0.10 a month and a composite alarm $0.50: these, with the objectives' 16
 * metrics and 4 composites, are $4.90.
 */
export function plainAlarms(watched: Watched): readonly AlarmSpec[] {
  return [
    deadLetters(
      'dead-jobs',
      watched.deadJobs,
      'Predictions that nobody took, however often they were offered',
    ),
    deadLetters('dead-webhooks', watched.deadWebhooks, 'The webhooks function cannot handle messages'),
    deadLetters('dead-pushes', watched.deadPushes, 'Images that were pushed did not become versions'),
    lostChanges('metering-lost', watched.meteringMapping, 'Ends of predictions could not be metered'),
    lostChanges('webhooks-lost', watched.webhooksMapping, 'Webhooks of changes could not be made'),
    {
      name: 'channel-throttled',
      summary: 'The channel is asked for more than its maximum allows',
      metrics: { throttled: cacheMetric(watched, 'ThrottledCmds', 'Sum') },
      periodSeconds: 60,
      periods: 15,
      datapoints: 10,
      comparison: 'GreaterThanThreshold',
      threshold: 0,
      missing: 'notBreaching',
    },
    {
      name: 'feed-late',
      summary: `Metering or webhooks are ${lateFeedSeconds / 60} minutes behind the table`,
      metrics: {
        metering: functionMetric(watched.metering, 'IteratorAge', 'Maximum'),
        webhooks: functionMetric(watched.webhooks, 'IteratorAge', 'Maximum'),
      },
      expression: 'MAX([FILL(metering,0),FILL(webhooks,0)])',
      periodSeconds: 60,
      periods: 5,
      datapoints: 5,
      comparison: 'GreaterThanThreshold',
      // The metric is in milliseconds.
      threshold: lateFeedSeconds * 1000,
      missing: 'notBreaching',
    },
    {
      name: 'sweeper-stopped',
      summary: `No sweep has ended well for ${unsweptMinutes} minutes`,
      metrics: {
        calls: functionMetric(watched.sweeper, 'Invocations', 'Sum'),
        errors: functionMetric(watched.sweeper, 'Errors', 'Sum'),
      },
      expression: 'calls-FILL(errors,0)',
      periodSeconds: 60,
      periods: unsweptMinutes,
      datapoints: unsweptMinutes,
      comparison: 'LessThanThreshold',
      threshold: 1,
      missing: 'breaching',
    },
    {
      name: 'ledger-differs',
      summary: 'The ledger and the predictions do not agree',
      metrics: { differences: serviceMetric(watched, serviceMetrics.ledgerDifferences, 'Maximum') },
      periodSeconds: 3600,
      periods: 1,
      datapoints: 1,
      comparison: 'GreaterThanThreshold',
      threshold: 0,
      missing: 'notBreaching',
    },
  ];
}

function deadLetters(name: string, queue: Watched['deadJobs'], summary: string): AlarmSpec {
  return {
    name,
    summary,
    metrics: { messages: queueMetric(queue, 'ApproximateNumberOfMessagesVisible', 'Maximum') },
    periodSeconds: 300,
    periods: 1,
    datapoints: 1,
    comparison: 'GreaterThanThreshold',
    threshold: 0,
    // SQS tells nothing of a queue that has been unused for hours.
    missing: 'notBreaching',
  };
}

function lostChanges(name: string, mapping: Watched['meteringMapping'], summary: string): AlarmSpec {
  return {
    name,
    summary,
    metrics: {
      dropped: mappingMetric(mapping, 'DroppedEventCount'),
      aside: mappingMetric(mapping, 'OnFailureDestinationDeliveredEventCount'),
    },
    expression: 'FILL(dropped,0)+FILL(aside,0)',
    periodSeconds: 300,
    periods: 1,
    datapoints: 1,
    comparison: 'GreaterThanThreshold',
    threshold: 0,
    missing: 'notBreaching',
  };
}
