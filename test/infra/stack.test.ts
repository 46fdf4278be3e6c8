import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readStackConfig } from '../../infra/plan/read-config.ts';
import { type RecordedResource, type Recording, record } from '../../infra/plan/record.ts';
import type { StackOutputs } from '../../infra/stack.ts';

const root = resolve(import.meta.dirname, '../..');

async function recordStack(environment: string, isPreview = false): Promise<Recording<StackOutputs>> {
  const config = readStackConfig(environment, root);
  return await record(
    async () => {
      const { createStack } = await import('../../infra/stack.ts');
      return createStack({ config, bundles: join(root, 'dist') });
    },
    { project: config.project, environment, isPreview },
  );
}

function countOf(resources: readonly RecordedResource[], type: string): number {
  return resources.filter((resource) => resource.type === type).length;
}

/** What tells the environments apart, and what they all have. */
const expected = {
  dev: { nodeGroups: 3, alarms: 0, dashboards: 0, privateNames: 1, certificates: 0, budgets: 1 },
  staging: { nodeGroups: 4, dashboards: 1, privateNames: 0, certificates: 1, budgets: 1 },
  prod: { nodeGroups: 5, dashboards: 1, privateNames: 0, certificates: 1, budgets: 4 },
} as const;

describe.each(Object.entries(expected))('the stack of %s', (environment, counts) => {
  let recording: Recording<StackOutputs>;
  let resources: readonly RecordedResource[];
  beforeAll(async () => {
    recording = await recordStack(environment);
    ({ resources } = recording);
  });

  it('is made of the components of the picture, and of nothing beside them', () => {
    const [stack] = resources.filter(({ parent }) => parent === undefined);
    const top = resources
      .filter(({ parent }) => parent === stack?.urn)
      .map(({ type, name }) => `${type} ${name}`);
    const config = readStackConfig(environment, root);

    expect(top.sort()).toEqual(
      [
        ...config.tiers.map(({ sku }) => `mimeo:infra:GpuTier tier-${sku}`),
        'mimeo:infra:Api api',
        'mimeo:infra:Channel channel',
        'mimeo:infra:Cluster cluster',
        'mimeo:infra:Guardrails guardrails',
        'mimeo:infra:InCluster in-cluster',
        'mimeo:infra:Jobs jobs',
        'mimeo:infra:Metering metering',
        'mimeo:infra:Network network',
        'mimeo:infra:Observability observability',
        'mimeo:infra:Outputs outputs',
        'mimeo:infra:Registrar registrar',
        'mimeo:infra:Registry registry',
        'mimeo:infra:Secrets secrets',
        'mimeo:infra:ServiceImages images',
        'mimeo:infra:Sweeper sweeper',
        'mimeo:infra:Table table',
        'mimeo:infra:Webhooks webhooks',
        'pulumi:providers:aws aws',
      ].sort(),
    );
  });

  it('names each resource after its parent, and no two alike', () => {
    const byUrn = new Map(resources.map((resource) => [resource.urn, resource]));
    const parents = resources.flatMap(({ name, parent }) => {
      const above = parent === undefined ? undefined : byUrn.get(parent);
      return above?.type.startsWith('mimeo:') && !name.startsWith(`${above.name}-`)
        ? [`${above.name}: ${name}`]
        : [];
    });

    expect(parents).toEqual([]);
    expect(byUrn.size).toBe(resources.length);
  });

  it('makes everything by its own providers, which tag what they make', () => {
    const strays = resources.filter(
      ({ type, isCustom, provider }) =>
        isCustom && !type.startsWith('pulumi:') && !/::(aws|cluster-[a-z-]+)::/.test(provider),
    );
    const [provider] = resources.filter(({ type }) => type === 'pulumi:providers:aws');

    expect(strays.map(({ type, name }) => `${type} ${name}`)).toEqual([]);
    expect(JSON.stringify(provider?.inputs)).toContain(`"mimeo:environment`);
  });

  it('has the kinds and numbers that its configuration asks for', () => {
    const found = {
      nodeGroups: countOf(resources, 'aws:eks/nodeGroup:NodeGroup'),
      alarms: countOf(resources, 'aws:cloudwatch/metricAlarm:MetricAlarm'),
      dashboards: countOf(resources, 'aws:cloudwatch/dashboard:Dashboard'),
      privateNames: countOf(resources, 'aws:servicediscovery/service:Service'),
      certificates: countOf(resources, 'aws:acm/certificate:Certificate'),
      budgets: countOf(resources, 'aws:budgets/budget:Budget'),
    };

    expect(found).toMatchObject(counts);
    for (const [type, count] of [
      ['aws:lambda/function:Function', 4],
      ['aws:dynamodb/table:Table', 1],
      ['aws:elasticache/serverlessCache:ServerlessCache', 1],
      ['aws:s3/bucket:Bucket', 2],
      ['aws:cloudfront/distribution:Distribution', 1],
      ['awsx:ec2:Vpc', 1],
      ['awsx:ecs:FargateService', 1],
      ['awsx:lb:ApplicationLoadBalancer', 1],
      ['aws:eks/cluster:Cluster', 1],
      ['aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate', 1],
      ['aws:scheduler/schedule:Schedule', 2],
    ] as const) {
      expect({ type, count: countOf(resources, type) }).toEqual({ type, count });
    }
  });

  it('says how to reach it', () => {
    const { result } = recording;
    const isTls = environment !== 'dev';

    expect(result.url).toMatch(isTls ? /^https:\/\/mimeo/ : /^http:\/\//);
    expect(result.firstToken).toContain('aws secretsmanager get-secret-value');
    expect(result.kubeconfig).toContain(`aws eks update-kubeconfig`);
    expect(result.registry).toMatch(/\.dkr\.ecr\.us-east-1\.amazonaws\.com\/mimeo-/);
    expect(result.queuePrefix).toMatch(/^mimeo-.*-$/);
    expect(result.deadLetterArn).toMatch(/^arn:aws:sqs:/);
  });

  it('is the same in a preview, where nothing is known that AWS would tell', async () => {
    const preview = await recordStack(environment, true);
    const namesOf = (all: readonly RecordedResource[]) =>
      all.map(({ type, name }) => `${type} ${name}`).sort();

    expect(namesOf(preview.resources)).toEqual(namesOf(resources));
  });
});
