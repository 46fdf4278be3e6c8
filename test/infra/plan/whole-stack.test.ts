import { beforeAll, describe, expect, test } from 'vitest';
import type { Plan } from '../../../infra/plan/plan.ts';
import { componentsOf } from '../../../infra/plan/tree.ts';
import { planEnvironment } from '../../../infra/plan/whole-stack.ts';
import { root } from './fixture.ts';

const plans: Plan[] = [];
beforeAll(async () => {
  for (const environment of ['dev', 'staging', 'prod']) plans.push(await planEnvironment(environment, root));
});

describe('the plans of the whole program', () => {
  test('have a price for all that it makes, or know it to be free', () => {
    expect(
      plans.flatMap(({ environment, notPriced }) => notPriced.map((one) => ({ environment, ...one }))),
    ).toEqual([]);
  });

  test('have every component of the picture', () => {
    for (const plan of plans) {
      const names = componentsOf(plan.resources).map(({ name }) => name);
      for (const name of [
        'network',
        'cluster',
        'table',
        'jobs',
        'outputs',
        'channel',
        'api',
        'in-cluster',
        'tier-cpu',
      ]) {
        expect(names).toContain(name);
      }
    }
  });

  test('break no mandatory policy', () => {
    const broken = plans.flatMap(({ environment, policies }) =>
      policies
        .filter(({ enforcement, verdict }) => enforcement === 'mandatory' && verdict === 'fail')
        .map(({ policy, violations }) => ({ environment, policy, violations })),
    );
    expect(broken).toEqual([]);
  });

  test('cost dev at most 150 USD a month while nobody calls', () => {
    expect(plans[0]?.monthlyUsd.idle).toBeLessThanOrEqual(150);
  });
});
