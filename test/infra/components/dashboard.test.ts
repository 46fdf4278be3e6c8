import { beforeAll, describe, expect, it } from 'vitest';
import { serviceMetrics } from '../../../infra/components/service-metrics.ts';
import type { MeasuredLines } from '../../../services/core/log-lines.ts';
import { inPreview } from './neighbours.ts';
import { everything, idsIn, observe, whyUnpublished } from './watching.ts';

let stack: Awaited<ReturnType<typeof observe>>;
beforeAll(async () => {
  stack = await observe(everything);
});

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

it('a preview, in which nothing is known yet, comes to the same resources', async () => {
  const preview = await observe(everything, inPreview);

  expect(preview.resources.map(({ name }) => name).sort()).toEqual(
    stack.resources.map(({ name }) => name).sort(),
  );
});
