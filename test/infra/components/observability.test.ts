import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { namespaceOf } from '../../../infra/components/metrics.ts';
import type { ObservabilityArgs } from '../../../infra/components/observability.ts';
import { type ServiceMetric, serviceMetrics } from '../../../infra/components/service-metrics.ts';
import type { MeasuredLines } from '../../../services/core/log-lines.ts';
import { identity, recorded, statementsOf } from './neighbours.ts';
import { publishedMetrics } from './published-metrics.ts';

type Switches = ObservabilityArgs['config']['observability'];
const everything: Switches = { dashboard: true, alarms: true, alarmEmails: ['oncall@example.com'] };

/** Components that are watched, by their names in AWS. */
async function watched(): Promise<Omit<ObservabilityArgs, 'config' | 'identity'>> {
  const { output } = await import('@pulumi/pulumi');
  const service = (name: string) => ({
    function: {
      functionName: output(`mimeo-dev-${name}`),
      logGroupName: output(`/aws/lambda/mimeo-dev-${name}`),
    },
    mappingId: output(`mapping-of-${name}`),
    queueName: output(`mimeo-dev-${name}`),
    deadLetterName: output(`mimeo-dev-${name}-dead`),
  });
  const tier = (sku: string, instanceType: string) => ({
    sku,
    tier: { instanceTypes: [instanceType], capacity: 'on-demand' },
    autoscalingGroupName: output(`eks-${sku}-asg`),
  });
  return {
    api: {
      loadBalancerArnSuffix: output('app/mimeo-dev/0123456789abcdef'),
      targetGroupArnSuffix: output('targetgroup/mimeo-dev/0123456789abcdef'),
      clusterName: output('mimeo-dev'),
      serviceName: output('api'),
    },
    table: { name: output('mimeo-dev') },
    jobs: { deadLetterName: output('mimeo-dev-jobs-dead') },
    channel: { cacheName: output('mimeo-dev') },
    cluster: {},
    tiers: [tier('cpu', 'm6i.xlarge'), tier('gpu-t4', 'g4dn.xlarge'), tier('gpu-a100-small', 'p4d.24xlarge')],
    webhooks: service('webhooks'),
    metering: service('metering'),
    registrar: service('registrar'),
    sweeper: service('sweeper'),
  } as unknown as Omit<ObservabilityArgs, 'config' | 'identity'>;
}

async function observe(observability: Switches) {
  return await recorded(async () => {
    const { Observability } = await import('../../../infra/components/observability.ts');
    const config = { observability, region: identity.region };
    const { dashboardUrl } = new Observability('observability', { identity, config, ...(await watched()) });
    return { dashboardUrl };
  });
}

let stack: Awaited<ReturnType<typeof observe>>;
beforeAll(async () => {
  stack = await observe(everything);
});

interface Reference {
  readonly namespace: string;
  readonly name: string;
  /** By name, sorted. */
  readonly dimensions: Readonly<Record<string, string>>;
}

/** Why nobody publishes a metric; undefined where somebody does. */
function whyUnpublished({ namespace, name, dimensions }: Reference): string | undefined {
  const names = Object.keys(dimensions).sort().join(',');
  if (namespace === namespaceOf(identity)) {
    const own = Object.values<ServiceMetric>(serviceMetrics).find((metric) => metric.name === name);
    if (!own) return `no service publishes ${name}`;
    return names === (own.dimension?.name ?? '') ? undefined : `${name} has other dimensions than ${names}`;
  }
  const known = publishedMetrics[`${namespace} ${names}`];
  return known?.includes(name) ? undefined : `${namespace} publishes no ${name} by ${names}`;
}

interface Widget {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly properties: {
    readonly title: string;
    readonly region: string;
    readonly metrics: readonly (readonly unknown[])[];
  };
}

function widgets(): readonly Widget[] {
  const { dashboardBody } = stack.named('observability-dashboard').inputs;
  return (JSON.parse(String(dashboardBody)) as { widgets: readonly Widget[] }).widgets;
}

/** An entry of a widget: a metric, or an expression. */
function entryOf(entry: readonly unknown[]) {
  const options = entry.at(-1) as { readonly id?: string; readonly expression?: string };
  const texts = entry.slice(0, -1).map(String);
  const pairs = Array.from({ length: (texts.length - 2) / 2 }, (_, at) => [
    texts[2 + 2 * at],
    texts[3 + 2 * at],
  ]);
  const [namespace = '', name = ''] = texts;
  return { ...options, namespace, name, dimensions: Object.fromEntries(pairs) as Record<string, string> };
}

/** Ids of metrics that metric math names. */
function idsIn(expression: string): readonly string[] {
  return expression.match(/\b[a-z][a-zA-Z0-9_]*\b/g) ?? [];
}

describe('the dashboard', () => {
  it('shows metrics that AWS or the services publish, and no other', () => {
    const entries = widgets().flatMap(({ properties }) => properties.metrics.map(entryOf));
    const direct = entries.filter(({ expression }) => expression === undefined);

    expect(direct.length).toBeGreaterThan(30);
    expect(direct.flatMap((entry) => whyUnpublished(entry) ?? [])).toEqual([]);
  });

  it('computes from what the same graph has', () => {
    for (const { properties } of widgets()) {
      const entries = properties.metrics.map(entryOf);
      const ids = entries.flatMap(({ id }) => id ?? []);
      expect(new Set(ids).size).toBe(ids.length);
      for (const { expression } of entries) {
        if (expression === undefined) continue;
        expect(ids).toEqual(expect.arrayContaining([...idsIn(expression)]));
      }
    }
  });

  it('shows what the platform is about, side by side without overlaps', () => {
    const titles = widgets().map(({ properties }) => properties.title);
    for (const word of [
      'Requests',
      'Seconds to answer',
      'Queue age',
      'Cold starts',
      'Instances',
      'Spend',
      'Webhook',
      'Dead',
    ])
      expect(titles.some((title) => title.startsWith(word))).toBe(true);
    const cells = widgets().map(({ x, y }) => `${x},${y}`);
    expect(new Set(cells).size).toBe(cells.length);
    expect(
      widgets().every(({ x, width, properties }) => x + width <= 24 && properties.region === 'us-east-1'),
    ).toBe(true);
  });

  it('says what machines of each tier cost an hour, by the price of their type', () => {
    const spend = widgets().find(({ properties }) => properties.title.startsWith('Spend'));
    const expressions = spend?.properties.metrics.map(entryOf).flatMap(({ expression }) => expression ?? []);

    expect(expressions).toContain('FILL(m_gpu_t4,0)*0.526');
    expect(expressions).toHaveLength(3);
  });

  it('is found by its address', () => {
    expect(stack.result.dashboardUrl).toBe(
      'https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards/dashboard/mimeo-dev',
    );
  });
});

describe('figures of the services', () => {
  it('are taken from lines and fields that the services write', () => {
    // What the compiler holds services to, written out: a field that is read here has to be in a line there.
    const lines: MeasuredLines = {
      'a job ended': {
        job: 'j',
        hardware: 'cpu',
        status: 'succeeded',
        code: null,
        waitSeconds: 1,
        billedMs: 1,
        costMicroUsd: 1,
      },
      'webhooks were tried': { tries: 1, failed: 0, delivered: 1, refused: 0, dead: 0, ms: 1 },
      swept: { oldestQueuedSeconds: 1 },
      'hardware was counted': { hardware: 'cpu', instances: 1, oldestQueuedSeconds: 1 },
      'an instance became ready': { hardware: 'cpu', pool: 'p', coldStartSeconds: 1 },
      'the ledger differs: npx mimeo ledger verify': { differences: 1 },
    };
    const filters = stack.all('aws:cloudwatch/logMetricFilter:LogMetricFilter');

    expect(filters).toHaveLength(Object.keys(serviceMetrics).length);
    for (const { inputs } of filters) {
      const { metricTransformation, pattern } = inputs as {
        pattern: string;
        metricTransformation: { value: string; namespace: string; dimensions?: Record<string, string> };
      };
      const [, message = ''] = /^\{ \$\.msg = (".+") \}$/.exec(pattern) ?? [];
      const line: object | undefined = lines[JSON.parse(message) as keyof MeasuredLines];
      const { value, dimensions = {}, namespace } = metricTransformation;
      const fields = [value, ...Object.values(dimensions)].filter((field) => field !== '1');
      expect(namespace).toBe('mimeo/dev');
      for (const field of fields) expect(line).toHaveProperty(field.replace('$.', ''));
    }
  });

  it('are read from the log of the service that writes them', () => {
    expect(stack.named('observability-measure-queue-age-seconds').inputs.logGroupName).toBe(
      '/aws/lambda/mimeo-dev-sweeper',
    );
    expect(stack.named('observability-measure-jobs-ended').inputs).toMatchObject({
      logGroupName: '/aws/lambda/mimeo-dev-metering',
      metricTransformation: { value: '1', dimensions: { Status: '$.status' } },
    });
  });
});

interface AlarmInputs {
  readonly name: string;
  readonly alarmDescription: string;
  readonly alarmActions: readonly string[];
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly threshold: number;
  readonly metricQueries: readonly {
    readonly id: string;
    readonly expression?: string;
    readonly returnData: boolean;
    readonly metric?: {
      namespace: string;
      metricName: string;
      dimensions?: Record<string, string>;
      period: number;
    };
  }[];
}

function metricAlarms(): readonly AlarmInputs[] {
  return stack
    .all('aws:cloudwatch/metricAlarm:MetricAlarm')
    .map(({ inputs }) => inputs as unknown as AlarmInputs);
}

interface CompositeInputs {
  readonly alarmName: string;
  readonly alarmDescription: string;
  readonly alarmRule: string;
  readonly alarmActions: readonly string[];
}

function compositeAlarms(): readonly CompositeInputs[] {
  return stack
    .all('aws:cloudwatch/compositeAlarm:CompositeAlarm')
    .map(({ inputs }) => inputs as unknown as CompositeInputs);
}

/** Those that tell somebody. */
function ringing(): readonly { readonly name: string; readonly alarmDescription: string }[] {
  return [
    ...metricAlarms().filter(({ alarmActions }) => alarmActions.length > 0),
    ...compositeAlarms().map((alarm) => ({ ...alarm, name: alarm.alarmName })),
  ];
}

describe('alarms', () => {
  it('are about metrics that AWS or the services publish, and come to one figure each', () => {
    const references = metricAlarms().flatMap(({ metricQueries }) =>
      metricQueries.flatMap(({ metric }) =>
        metric ? [{ ...metric, name: metric.metricName, dimensions: metric.dimensions ?? {} }] : [],
      ),
    );
    expect(references.flatMap((one) => whyUnpublished(one) ?? [])).toEqual([]);
    for (const { metricQueries } of metricAlarms()) {
      const ids = metricQueries.map(({ id }) => id);
      expect(metricQueries.filter(({ returnData }) => returnData)).toHaveLength(1);
      for (const { expression = '' } of metricQueries)
        expect(ids).toEqual(expect.arrayContaining([...idsIn(expression)]));
    }
  });

  it('cost what their comment says: 29 metrics at $0.10 and 4 composites at $0.50', () => {
    const metrics = metricAlarms().flatMap(({ metricQueries }) =>
      metricQueries.filter(({ metric }) => metric),
    );

    expect(metrics).toHaveLength(29);
    expect(compositeAlarms()).toHaveLength(4);
  });

  it('each have a runbook, which they name, and each runbook has an alarm', () => {
    const text = readFileSync('docs/runbooks.md', 'utf8');
    const [, section = ''] = /## Alarms\n([\s\S]+?)\n## /.exec(text) ?? [];
    const headings = [...section.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading);
    const named = ringing().map(({ name, alarmDescription }) => {
      const [, anchor = ''] = /docs\/runbooks\.md#([a-z-]+)$/.exec(alarmDescription) ?? [];
      expect(name).toBe(`mimeo-dev-${anchor}`);
      return anchor;
    });

    expect(named.toSorted()).toEqual(headings.toSorted());
    expect(readFileSync('docs/operations.md', 'utf8')).toContain('(runbooks.md)');
    for (const heading of headings) {
      const [, body = ''] = new RegExp(`### ${heading}\n([\\s\\S]+?)(\n### |$)`).exec(section) ?? [];
      for (const part of ['**What it means**', '**Look at**', '**Do**']) expect(body).toContain(part);
    }
  });

  it('tell people by an encrypted topic that CloudWatch may publish to', () => {
    const topic = stack.named('observability-alarms-topic');
    const key = stack.named('observability-alarms-key');

    expect(ringing()).toHaveLength(13);
    expect(topic.inputs.kmsMasterKeyId).toBe(key.outputs.arn);
    expect(stack.named('observability-alarms-email-1').inputs).toMatchObject({
      protocol: 'email',
      endpoint: 'oncall@example.com',
    });
    expect(statementsOf(key)).toContainEqual(
      expect.objectContaining({
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
      }),
    );
    expect(statementsOf(stack.named('observability-alarms-policy'))).toContainEqual(
      expect.objectContaining({
        Effect: 'Allow',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Action: 'sns:Publish',
        Condition: { StringEquals: { 'aws:SourceAccount': '123456789012' } },
      }),
    );
  });
});

describe('objectives', () => {
  const alarm = (name: string) => {
    const found = metricAlarms().find((one) => one.name === `mimeo-dev-${name}`);
    if (!found) throw new Error(`There is no alarm ${name}`);
    return found;
  };
  const periodOf = (name: string) => alarm(name).metricQueries.find(({ metric }) => metric)?.metric?.period;

  it.each([
    ['availability-fast', 0.0144, 3600, 300],
    ['availability-slow', 0.006, 21_600, 1800],
  ])('%s rings while a long and a short window burn the budget', (name, threshold, long, short) => {
    expect(alarm(`${name}-long`).threshold).toBe(threshold);
    expect(alarm(`${name}-short`).threshold).toBe(threshold);
    expect([periodOf(`${name}-long`), periodOf(`${name}-short`)]).toEqual([long, short]);
  });

  it.each([
    ['queue-age-fast', [9, 60], [1, 5]],
    ['queue-age-slow', [22, 360], [2, 30]],
  ])('%s rings by minutes that are late', (name, long, short) => {
    const counts = (one: AlarmInputs) => [one.datapointsToAlarm, one.evaluationPeriods];

    expect(counts(alarm(`${name}-long`))).toEqual(long);
    expect(counts(alarm(`${name}-short`))).toEqual(short);
    expect(periodOf(`${name}-long`)).toBe(60);
  });

  it('tell people once for both windows, not for one', () => {
    const rule = compositeAlarms().find(
      ({ alarmName }) => alarmName === 'mimeo-dev-availability-fast',
    )?.alarmRule;

    expect(rule).toBe(
      'ALARM("mimeo-dev-availability-fast-long") AND ALARM("mimeo-dev-availability-fast-short")',
    );
    expect(alarm('availability-fast-long').alarmActions).toEqual([]);
  });

  it('no alarm looks back for longer than CloudWatch does: a day', () => {
    for (const { evaluationPeriods, metricQueries } of metricAlarms()) {
      for (const { metric } of metricQueries) {
        if (metric) expect(metric.period * evaluationPeriods).toBeLessThanOrEqual(86_400);
      }
    }
  });
});

describe('where config switches it off', () => {
  it('there are no alarms, but the dashboard and its figures', async () => {
    const { all } = await observe({ dashboard: true, alarms: false, alarmEmails: [] });

    expect(all('aws:cloudwatch/metricAlarm:MetricAlarm')).toEqual([]);
    expect(all('aws:sns/topic:Topic')).toEqual([]);
    expect(all('aws:cloudwatch/dashboard:Dashboard')).toHaveLength(1);
    expect(all('aws:cloudwatch/logMetricFilter:LogMetricFilter')).not.toEqual([]);
  });

  it('there is nothing at all without a dashboard, too', async () => {
    const { resources, result } = await observe({ dashboard: false, alarms: false, alarmEmails: [] });

    expect(resources.filter(({ isCustom }) => isCustom)).toEqual([]);
    expect(result.dashboardUrl).toBeUndefined();
  });
});
