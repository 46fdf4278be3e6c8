import { stackPolicy } from '../policy.ts';

export const monthlyBudget = stackPolicy({
  name: 'monthly-budget',
  description: 'A stack should have a monthly budget that tells somebody when it is nearly spent.',
  enforcement: 'advisory',
  check(resources, { environment }) {
    if (resources.some(({ type }) => type === 'aws:budgets/budget:Budget')) return [];
    const message = `${environment} has no budget, so that nobody is told what it costs before the bill; set guardrails.monthlyBudgetUsd and alertEmails`;
    return [{ message }];
  },
});
