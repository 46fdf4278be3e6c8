import { namespaceOf } from '../../../infra/components/metrics.ts';
import type { ObservabilityArgs } from '../../../infra/components/observability.ts';
import { type ServiceMetric, serviceMetrics } from '../../../infra/components/service-metrics.ts';
import { identity, recorded } from './neighbours.ts';
import { publishedMetrics } from './published-metrics.ts';

type Switches = ObservabilityArgs['config']['observability'];
export const everything: Switches = { dashboard: true, alarms: true, alarmEmails: ['oncall@example.com'] };

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

/** What observability asks for. */
export async function observe(observability: Switches, options: Parameters<typeof recorded>[1] = {}) {
  return await recorded(async () => {
    const { Observability } = await import('../../../infra/components/observability.ts');
    const config = { observability, region: identity.region };
    const { dashboardUrl } = new Observability('observability', { identity, config, ...(await watched()) });
    return options.isPreview ? {} : { dashboardUrl };
  }, options);
}

interface Reference {
  readonly namespace: string;
  readonly name: string;
  /** By name, sorted. */
  readonly dimensions: Readonly<Record<string, string>>;
}

/** Why nobody publishes a metric; undefined where somebody does. */
export function whyUnpublished({ namespace, name, dimensions }: Reference): string | undefined {
  const names = Object.keys(dimensions).sort().join(',');
  if (namespace === namespaceOf(identity)) {
    const own = Object.values<ServiceMetric>(serviceMetrics).find((metric) => metric.name === name);
    if (!own) return `no service publishes ${name}`;
    return names === (own.dimension?.name ?? '') ? undefined : `${name} has other dimensions than ${names}`;
  }
  const known = publishedMetrics[`${namespace} ${names}`];
  return known?.includes(name) ? undefined : `${namespace} publishes no ${name} by ${names}`;
}

/** Ids of metrics that metric math names. */
export function idsIn(expression: string): readonly string[] {
  return expression.match(/\b[a-z][a-zA-Z0-9_]*\b/g) ?? [];
}
