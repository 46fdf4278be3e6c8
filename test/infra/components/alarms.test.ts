import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { statementsOf } from './neighbours.ts';
import { everything, idsIn, observe, whyUnpublished } from './watching.ts';

let stack: Awaited<ReturnType<typeof observe>>;
beforeAll(async () => {
  stack = await observe(everything);
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
