import { makePlan, type Plan } from './plan.ts';

/** The plan of one environment of this very platform, judged by its own policies. @see makePlan */
export function planEnvironment(environment: string, root: string): Promise<Plan> {
  return makePlan(environment, root, {
    program: async () => (await import('../stack.ts')).createStack,
    evaluate: async (resources, config, cost) => {
      const { evaluatePolicies } = await import('../../policies/evaluate.ts');
      return evaluatePolicies(resources, config, cost);
    },
  });
}
