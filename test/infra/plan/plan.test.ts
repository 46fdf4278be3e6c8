import { beforeAll, describe, expect, test } from 'vitest';
import { settingsSchema } from '../../../infra/config-schema.ts';
import { diffPlans } from '../../../infra/plan/diff.ts';
import { type EvaluatePolicies, makePlan, mandatoryViolations, type Plan } from '../../../infra/plan/plan.ts';
import { readStackConfig } from '../../../infra/plan/read-config.ts';
import { rowsOf } from '../../../infra/plan/rows.ts';
import { componentsOf } from '../../../infra/plan/tree.ts';
import { standingMonthlyUsd } from '../../../infra/standing-cost.ts';
import { configOf, fixtureProgram, root } from './fixture.ts';

const environments = ['dev', 'staging', 'prod'];
const plans = new Map<string, Plan>();
const cpuSeconds = new Map<string, number>();
const judged: { readonly count: number; readonly environment: string; readonly idle: number }[] = [];

const evaluate: EvaluatePolicies = (resources, config, cost) => {
  judged.push({ count: resources.length, environment: config.environment, idle: cost.idle });
  const verdict = { policy: 'a-rule', description: 'A rule.', violations: [] };
  return [
    { ...verdict, enforcement: 'mandatory', verdict: 'pass' },
    { ...verdict, enforcement: 'advisory', verdict: 'fail' },
    { ...verdict, enforcement: 'mandatory', verdict: 'fail' },
  ];
};

function planOf(environment: string): Plan {
  const plan = plans.get(environment);
  if (!plan) throw new Error(`no plan of ${environment}`);
  return plan;
}

beforeAll(async () => {
  for (const environment of environments) {
    const before = process.cpuUsage();
    plans.set(environment, await makePlan(environment, root, { program: fixtureProgram, evaluate }));
    const { user, system } = process.cpuUsage(before);
    cpuSeconds.set(environment, (user + system) / 1e6);
  }
});

describe.each(environments)('the plan of %s', (environment) => {
  test('prices all that it has', () => {
    const plan = planOf(environment);

    expect(plan.notPriced).toEqual([]);
    expect(plan).toMatchObject({ project: 'mimeo', environment, region: 'us-east-1' });
    expect(plan.resources.length).toBeGreaterThan(30);
  });

  test('has the same sum whether by line, by row or by component', () => {
    const { lines, resources, monthlyUsd } = planOf(environment);
    for (const state of ['idle', 'peak'] as const) {
      const byRow = rowsOf(lines).reduce((sum, row) => sum + row.monthlyUsd[state], 0);
      const byComponent = componentsOf(resources).reduce((sum, one) => sum + one.monthlyUsd[state], 0);
      expect(byRow).toBeCloseTo(monthlyUsd[state], 6);
      expect(byComponent).toBeCloseTo(monthlyUsd[state], 6);
    }
  });

  test('is judged by what the program asks for and by what that costs', () => {
    const plan = planOf(environment);
    const one = judged.find((judgement) => judgement.environment === environment);

    expect(one).toEqual({ count: plan.resources.length, environment, idle: plan.monthlyUsd.idle });
    expect(mandatoryViolations(plan)).toHaveLength(1);
  });

  test('takes less than five seconds of a processor', () => {
    // Not of a clock: the machine may be busy with other things.
    expect(cpuSeconds.get(environment)).toBeLessThan(5);
    expect(planOf(environment).seconds).toBeGreaterThan(0);
  });

  test('keeps inputs to itself: some are secret', () => {
    expect(JSON.stringify(planOf(environment))).not.toContain('assumeRolePolicy');
  });
});

test("the configuration's own estimate is within a tenth of the plan's idle, logs and fast disks apart", () => {
  for (const environment of environments) {
    const { lines, region, monthlyUsd } = planOf(environment);
    const apart = lines
      .filter(({ at, what }) => at === 'idle' && /logs|IOPS|MB\/s/.test(what))
      .reduce((sum, line) => sum + line.monthlyUsd, 0);
    const { tiers, ...config } = readStackConfig(environment, root);
    const settings = settingsSchema.parse({
      network: config.network,
      cluster: config.cluster,
      api: config.api,
      tiers: Object.fromEntries(tiers.map(({ sku, ...tier }) => [sku, tier])),
    });

    const estimate = standingMonthlyUsd(settings, region);

    expect(Math.abs(estimate - (monthlyUsd.idle - apart)) / estimate).toBeLessThan(0.1);
  }
});

test('the estimate has machines that are always on, of types that nobody named', () => {
  const of = (tiers: object) => {
    const { network, cluster, api } = configOf();
    return standingMonthlyUsd(settingsSchema.parse({ network, cluster, api, tiers }), 'us-east-1');
  };

  expect(of({ 'gpu-t4': { min: 2, max: 2 } }) - of({})).toBeCloseTo(2 * 0.526 * 730, 6);
  expect(of({ 'gpu-t4': { max: 2, warmPool: 1 } }) - of({})).toBeCloseTo(200 * 0.08, 6);
});

test('a program that throws is one error, and the next plan is made all the same', async () => {
  const program = async () => () => {
    throw new Error('no such thing');
  };

  await expect(makePlan('dev', root, { program, evaluate })).rejects.toThrow('no such thing');

  const { resources } = await makePlan('dev', root, { program: fixtureProgram, evaluate });
  expect(resources).toHaveLength(planOf('dev').resources.length);
});

describe('what differs between two plans', () => {
  test('is nothing between a plan and itself', () => {
    expect(diffPlans(planOf('dev'), planOf('dev'))).toMatchObject({ costs: [], resources: [] });
  });

  test('is costs and resources, the largest first', () => {
    const { before, after, costs, resources } = diffPlans(planOf('dev'), planOf('prod'));

    expect([before, after]).toEqual(['dev', 'prod']);
    const peaks = costs.map((one) => Math.abs(one.after.peak - one.before.peak));
    expect(peaks).toEqual(peaks.toSorted((a, b) => b - a));
    expect(costs.find(({ what }) => what === 'NAT gateways')).toMatchObject({
      component: 'network',
      before: { idle: 0, peak: 0 },
      after: { idle: expect.closeTo(98.55, 6) },
    });
    expect(resources).toContainEqual({
      type: 'aws:ec2/flowLog:FlowLog',
      name: 'network-flow',
      component: 'network',
      isIn: 'after',
    });
  });

  test('is the same the other way round', () => {
    const [there, back] = [
      diffPlans(planOf('dev'), planOf('prod')),
      diffPlans(planOf('prod'), planOf('dev')),
    ];

    expect(back.costs).toHaveLength(there.costs.length);
    expect(back.resources.filter(({ isIn }) => isIn === 'before')).toHaveLength(
      there.resources.filter(({ isIn }) => isIn === 'after').length,
    );
  });
});
