import type { AlarmSpec } from './alarms.ts';
import { loadBalancerMetric, targetMetric, type Watched } from './metrics.ts';
import { serviceMetric, serviceMetrics } from './service-metrics.ts';

/** Share of requests that are answered otherwise than by a 5xx. */
export const availabilityTarget = 0.999;
/** Share of minutes in which no job has waited for longer than `queueAgeLimitSeconds`. */
export const queueAgeTarget = 0.99;
/** A cold start from nothing: a machine, an image of many GB on it, weights and setup. */
export const queueAgeLimitSeconds = 1200;
/** Fewer failed requests than this page nobody: of three requests at night one is no outage. */
const leastFailures = 10;

/**
 * How fast a month's budget of errors may be spent, over two windows at once: the long one says that it matters, the
 * short one that it still goes on. Source: The Site Reliability Workbook, chapter 5, "Alerting on SLOs", table 5-8; its
 * third row (1 in three days) is a ticket and pages nobody.
 */
export const burnRates = [
  { name: 'fast', rate: 14.4, longMinutes: 60, shortMinutes: 5 },
  { name: 'slow', rate: 6, longMinutes: 360, shortMinutes: 30 },
] as const;

/** An alarm that rings while both of its windows do. */
export interface BurnAlarmSpec {
  readonly name: string;
  readonly summary: string;
  readonly windows: readonly AlarmSpec[];
}

/** The objectives' alarms, two each. */
export function burnAlarms(watched: Watched): readonly BurnAlarmSpec[] {
  return burnRates.flatMap(({ name, rate, longMinutes, shortMinutes }) => {
    const times = `${rate} times as fast as a month allows`;
    return [
      {
        name: `availability-${name}`,
        summary: `Requests fail by 5xx ${times} (objective: ${percent(availabilityTarget)} succeed)`,
        windows: [
          failureRate(watched, `availability-${name}-long`, longMinutes, rate, leastFailures),
          failureRate(watched, `availability-${name}-short`, shortMinutes, rate, 1),
        ],
      },
      {
        name: `queue-age-${name}`,
        summary:
          `Predictions wait for more than ${queueAgeLimitSeconds / 60} minutes ${times} ` +
          `(objective: ${percent(queueAgeTarget)} of minutes)`,
        windows: [
          lateMinutes(watched, `queue-age-${name}-long`, longMinutes, rate),
          lateMinutes(watched, `queue-age-${name}-short`, shortMinutes, rate),
        ],
      },
    ];
  });
}

/** Rings where more of a window's requests fail than `rate` times the share that may. */
function failureRate(
  watched: Watched,
  name: string,
  minutes: number,
  rate: number,
  leastFailed: number,
): AlarmSpec {
  return {
    name,
    summary: `Share of requests of ${minutes} minutes that failed`,
    metrics: {
      // Without those for which there was no task at all.
      requests: loadBalancerMetric(watched, 'RequestCount', 'Sum'),
      // Of the load balancer itself, where no task answers, and of the tasks.
      unserved: loadBalancerMetric(watched, 'HTTPCode_ELB_5XX_Count', 'Sum'),
      failed: targetMetric(watched, 'HTTPCode_Target_5XX_Count', 'Sum'),
    },
    expression:
      `IF(FILL(unserved,0)+FILL(failed,0)>=${leastFailed},` +
      '(FILL(unserved,0)+FILL(failed,0))/(FILL(requests,0)+FILL(unserved,0)),0)',
    periodSeconds: minutes * 60,
    periods: 1,
    datapoints: 1,
    comparison: 'GreaterThanThreshold',
    threshold: round(rate * (1 - availabilityTarget)),
    missing: 'notBreaching',
  };
}

/** Rings where so many minutes of a window are late. */
function lateMinutes(watched: Watched, name: string, minutes: number, rate: number): AlarmSpec {
  return {
    name,
    summary: `Minutes of ${minutes} in which a prediction waited for too long`,
    metrics: { age: serviceMetric(watched, serviceMetrics.queueAge, 'Maximum') },
    periodSeconds: 60,
    periods: minutes,
    datapoints: Math.ceil(round(rate * (1 - queueAgeTarget) * minutes)),
    comparison: 'GreaterThanThreshold',
    threshold: queueAgeLimitSeconds,
    // Where nothing is measured the sweeper stands still, which has an alarm of its own.
    missing: 'notBreaching',
  };
}

/** Without the dust of binary fractions. */
function round(number: number): number {
  return Number(number.toPrecision(6));
}

function percent(share: number): string {
  return `${round(share * 100)} %`;
}
