import { CostExplorerClient, ListCostAllocationTagsCommand } from '@aws-sdk/client-cost-explorer';
import type { StackConfig } from '../config.ts';
import type { Check } from './preflight.ts';

/** The tags that budgets, the stop and the search for unusual costs go by (infra/components/guardrails.ts). */
export const countedTags = { stack: 'mimeo:environment', tier: 'mimeo:tier' } as const;

/** What AWS says of them: `Active` or `Inactive` by key, nothing of one that was on no bill yet; or why it does not say. */
export type CostTags = { readonly statuses: Readonly<Record<string, string>> } | { readonly problem: string };

/** Asks AWS, by the credentials that Pulumi will use. Never throws. */
export async function lookAtCostTags(): Promise<CostTags> {
  // Bills are the account's and not a region's.
  const client = new CostExplorerClient({ region: 'us-east-1', maxAttempts: 2 });
  try {
    const { CostAllocationTags: tags = [] } = await client.send(
      new ListCostAllocationTagsCommand({ TagKeys: Object.values(countedTags), Type: 'UserDefined' }),
    );
    return { statuses: Object.fromEntries(tags.map(({ TagKey = '', Status = '' }) => [TagKey, Status])) };
  } catch (error) {
    return { problem: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  } finally {
    client.destroy();
  }
}

/** Whether what watches over the money of an environment sees any of it. */
export function costTagsCheck({ guardrails }: StackConfig, tags: CostTags): Check {
  const name = 'cost tags';
  const { activateCostTags, stopAtBudget, tierBudgetsUsd } = guardrails;
  const keys: readonly string[] = [
    countedTags.stack,
    ...(Object.keys(tierBudgetsUsd).length > 0 ? [countedTags.tier] : []),
  ];
  const blind = `budgets see $0${stopAtBudget ? ', and GPU tiers are never stopped' : ''}`;
  if ('problem' in tags) {
    return {
      name,
      level: 'warn',
      found: `cannot be read (${tags.problem}); where AWS does not count by ${keys.join(' and ')}, ${blind}`,
      mend: 'look in the account that pays, under Billing, Cost allocation tags',
    };
  }
  const off = keys.filter((key) => tags.statuses[key] !== 'Active');
  const unknown = off.filter((key) => tags.statuses[key] === undefined);
  if (off.length === 0) return { name, level: 'ok', found: `AWS counts by ${keys.join(' and ')}` };
  if (activateCostTags && unknown.length === 0) {
    return { name, level: 'ok', found: `this stack has AWS count by ${off.join(' and ')}` };
  }
  const activate = 'mimeo:guardrails: { activateCostTags: true } in one stack of the account';
  return {
    name,
    level: 'warn',
    found: `AWS does not count by ${off.join(' and ')} in this account: ${blind}`,
    mend: unknown.length > 0 ? `a day after the first up, when AWS has billed them, ${activate}` : activate,
  };
}
