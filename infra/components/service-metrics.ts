import type { MeasuredLines } from '../../services/core/log-lines.ts';
import { type Metric, namespaceOf, type Stat, type Watched } from './metrics.ts';

type Message = keyof MeasuredLines;
type FieldsOf<Line, Type> = {
  [Name in keyof Line]: Line[Name] extends Type ? Name & string : never;
}[keyof Line];

/** A metric that a filter makes of lines of a service's log. */
export interface ServiceMetric {
  readonly name: string;
  /** Whose log it is. */
  readonly service: 'metering' | 'webhooks' | 'sweeper';
  readonly message: Message;
  /** The field that is its value; without one each line counts as 1. */
  readonly value?: string;
  /** A metric for each value of this field, under a dimension of this name. */
  readonly dimension?: { readonly name: string; readonly field: string };
  /** As CloudWatch names units. */
  readonly unit: 'Count' | 'Seconds' | 'None';
}

function measure<Of extends Message>(
  name: string,
  service: ServiceMetric['service'],
  message: Of,
  more: {
    readonly value?: FieldsOf<MeasuredLines[Of], number>;
    readonly dimension?: { readonly name: string; readonly field: FieldsOf<MeasuredLines[Of], string> };
    readonly unit?: ServiceMetric['unit'];
  } = {},
): ServiceMetric {
  return { name, service, message, unit: 'Count', ...more };
}

/** `Hardware` is the SKU. */
const hardware = { name: 'Hardware', field: 'hardware' } as const;

/**
 * What the services' logs tell of the platform. Each, and each value of a dimension, is a custom metric: $0.30 a month,
 * by the hours in which it is published. With three hardwares in use all day that is about $5.
 */
export const serviceMetrics = {
  jobsEnded: measure('JobsEnded', 'metering', 'a job ended', {
    dimension: { name: 'Status', field: 'status' },
  }),
  jobWait: measure('JobWaitSeconds', 'metering', 'a job ended', { value: 'waitSeconds', unit: 'Seconds' }),
  billed: measure('BilledMicroUsd', 'metering', 'a job ended', {
    value: 'costMicroUsd',
    dimension: hardware,
    unit: 'None',
  }),
  queueAge: measure('QueueAgeSeconds', 'sweeper', 'swept', { value: 'oldestQueuedSeconds', unit: 'Seconds' }),
  instances: measure('Instances', 'sweeper', 'hardware was counted', {
    value: 'instances',
    dimension: hardware,
  }),
  coldStart: measure('ColdStartSeconds', 'sweeper', 'an instance became ready', {
    value: 'coldStartSeconds',
    dimension: hardware,
    unit: 'Seconds',
  }),
  ledgerDifferences: measure('LedgerDifferences', 'sweeper', 'the ledger differs: npx mimeo ledger verify', {
    value: 'differences',
  }),
  webhooksDelivered: measure('WebhooksDelivered', 'webhooks', 'webhooks were tried', { value: 'delivered' }),
  webhooksRefused: measure('WebhooksRefused', 'webhooks', 'webhooks were tried', { value: 'refused' }),
  webhooksDead: measure('WebhooksDead', 'webhooks', 'webhooks were tried', { value: 'dead' }),
} as const satisfies Record<string, ServiceMetric>;

/** A metric of ours as alarms and the dashboard name it. @param of the dimension's value, where it has one */
export function serviceMetric(watched: Watched, metric: ServiceMetric, stat: Stat, of?: string): Metric {
  const { dimension, name } = metric;
  if ((dimension === undefined) !== (of === undefined)) {
    throw new Error(`${name} has ${dimension ? `a dimension ${dimension.name}` : 'no dimension'}`);
  }
  const dimensions = dimension && of !== undefined ? { [dimension.name]: of } : {};
  return { namespace: namespaceOf(watched), name, dimensions, stat };
}

/** The filter's pattern, by the syntax of CloudWatch Logs for JSON. */
export function patternOf({ message }: ServiceMetric): string {
  return `{ $.msg = ${JSON.stringify(message)} }`;
}
