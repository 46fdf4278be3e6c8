import type { StackConfig } from '../config.ts';

/** What the plan, which asks AWS nothing, has to say of a budget that may see nothing; undefined where there is nothing to say. */
export function budgetNote({ guardrails }: Pick<StackConfig, 'guardrails'>): string | undefined {
  if (guardrails.activateCostTags) return undefined;
  const stop = guardrails.stopAtBudget ? ', and GPU tiers are not stopped at it' : '';
  return `The budget sees $0${stop} until mimeo:environment is an active cost tag of the account (activateCostTags).`;
}
