import { join } from 'node:path';
import type { StackConfig } from '../config.ts';
import { budgetNote } from './budget-note.ts';
import { type PlannedTierOff, type TierMargin, tierMargins, tiersThatAreOff } from './margin.ts';
import type { CostLine, NotPriced } from './price/cost-line.ts';
import { monthlyUsd, price } from './price/index.ts';
import { readStackConfig } from './read-config.ts';
import { type RecordedResource, record } from './record.ts';
import { type MonthlyUsd, type PlannedResource, planResources } from './tree.ts';

/** What one policy says of a stack. */
export interface PolicyVerdict {
  /** Its name, such as `no-wildcard-actions`. */
  readonly policy: string;
  readonly description: string;
  readonly enforcement: 'mandatory' | 'advisory';
  readonly verdict: 'pass' | 'fail';
  readonly violations: readonly { readonly urn: string | undefined; readonly message: string }[];
}

/** Judges a stack's resources by all policies. */
export type EvaluatePolicies = (
  resources: readonly RecordedResource[],
  config: StackConfig,
  cost: MonthlyUsd,
) => readonly PolicyVerdict[] | Promise<readonly PolicyVerdict[]>;

/** A Pulumi program, as `createStack` is. */
export type StackProgram = (inputs: { readonly config: StackConfig; readonly bundles: string }) => unknown;

/** What `pulumi up` would build, and what that would cost. */
export interface Plan {
  readonly project: string;
  readonly environment: string;
  /** AWS region. */
  readonly region: string;
  /** While nobody calls, and while every machine is busy all month. */
  readonly monthlyUsd: MonthlyUsd;
  /** What a month may cost, by the configuration's budget. */
  readonly budgetUsd: number;
  /** What must be so for that budget to see anything; undefined where the stack sees to it. */
  readonly budgetNote: string | undefined;
  readonly lines: readonly CostLine[];
  readonly resources: readonly PlannedResource[];
  readonly policies: readonly PolicyVerdict[];
  /** Tiers that are on. */
  readonly tiers: readonly TierMargin[];
  readonly tiersOff: readonly PlannedTierOff[];
  /** What the sums leave out, because no price is known. */
  readonly notPriced: readonly NotPriced[];
  /** How long it took to reckon all of this. */
  readonly seconds: number;
}

export interface PlanSources {
  /** Loads the program; called only under mocks, because it imports @pulumi/aws. */
  readonly program: () => Promise<StackProgram>;
  readonly evaluate: EvaluatePolicies;
}

/**
 * What one environment would be: its program is run without Pulumi's engine and without credentials, and all that it asks
 * for is priced and judged. A process makes one plan at a time.
 * @param root the folder of Pulumi.yaml
 * @throws ConfigFileError, ConfigError for what the configuration gets wrong
 */
export async function makePlan(environment: string, root: string, sources: PlanSources): Promise<Plan> {
  const startedAt = performance.now();
  const config = readStackConfig(environment, root);
  const { project, region } = config;
  const { resources } = await record(
    async () => {
      const program = await sources.program();
      await program({ config, bundles: join(root, 'dist') });
    },
    { project, environment },
  );
  const { lines, notPriced } = price(resources, region);
  const monthly = monthlyUsd(lines);
  return {
    project,
    environment,
    region,
    monthlyUsd: monthly,
    budgetUsd: config.guardrails.monthlyBudgetUsd,
    budgetNote: budgetNote(config),
    lines,
    resources: planResources(resources, lines),
    policies: await sources.evaluate(resources, config, monthly),
    tiers: tierMargins(config),
    tiersOff: tiersThatAreOff(config),
    notPriced,
    seconds: (performance.now() - startedAt) / 1000,
  };
}

/** Policies that the stack may not be built against. */
export function mandatoryViolations(plan: Plan): readonly PolicyVerdict[] {
  return plan.policies.filter(
    ({ enforcement, verdict }) => enforcement === 'mandatory' && verdict === 'fail',
  );
}
