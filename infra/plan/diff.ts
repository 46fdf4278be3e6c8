import type { Plan } from './plan.ts';
import { type CostRow, rowsOf } from './rows.ts';
import type { MonthlyUsd } from './tree.ts';

/** A kind of cost that differs between two plans. */
export interface CostDifference {
  readonly component: string;
  readonly what: string;
  readonly before: MonthlyUsd;
  readonly after: MonthlyUsd;
}

/** Resources that only one of two plans has, by component. */
export interface ResourceDifference {
  readonly type: string;
  readonly name: string;
  readonly component: string;
  readonly isIn: 'before' | 'after';
}

/** What differs between two plans, such as those of staging and prod. */
export interface PlanDifference {
  readonly before: string;
  readonly after: string;
  readonly monthlyUsd: { readonly before: MonthlyUsd; readonly after: MonthlyUsd };
  /** The largest difference at peak first. */
  readonly costs: readonly CostDifference[];
  readonly resources: readonly ResourceDifference[];
}

/** Less than this a month is no difference, USD. */
const leastUsd = 0.005;
const nothing: MonthlyUsd = { idle: 0, peak: 0 };

/** What `after` has other than `before`: costs and resources, both by name. */
export function diffPlans(before: Plan, after: Plan): PlanDifference {
  return {
    before: before.environment,
    after: after.environment,
    monthlyUsd: { before: before.monthlyUsd, after: after.monthlyUsd },
    costs: diffCosts(sums(before), sums(after)),
    resources: [...onlyIn(after, before, 'after'), ...onlyIn(before, after, 'before')],
  };
}

type Sums = ReadonlyMap<string, MonthlyUsd & Pick<CostRow, 'component' | 'what'>>;

function sums({ lines }: Plan): Sums {
  const sum = new Map<string, MonthlyUsd & Pick<CostRow, 'component' | 'what'>>();
  for (const { component, what, monthlyUsd } of rowsOf(lines)) {
    const key = JSON.stringify([component, what]);
    const { idle, peak } = sum.get(key) ?? nothing;
    sum.set(key, { component, what, idle: idle + monthlyUsd.idle, peak: peak + monthlyUsd.peak });
  }
  return sum;
}

function diffCosts(before: Sums, after: Sums): readonly CostDifference[] {
  const differences: CostDifference[] = [];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [one, other] = [before.get(key), after.get(key)];
    const { component = '', what = '' } = one ?? other ?? {};
    const difference = { component, what, before: usdOf(one), after: usdOf(other) };
    if (Math.max(change(difference, 'idle'), change(difference, 'peak')) > leastUsd)
      differences.push(difference);
  }
  return differences.sort(
    (a, b) => change(b, 'peak') - change(a, 'peak') || change(b, 'idle') - change(a, 'idle'),
  );
}

function usdOf(sum: MonthlyUsd | undefined): MonthlyUsd {
  return sum ? { idle: sum.idle, peak: sum.peak } : nothing;
}

function change({ before, after }: CostDifference, state: keyof MonthlyUsd): number {
  return Math.abs(after[state] - before[state]);
}

function onlyIn(one: Plan, other: Plan, isIn: 'before' | 'after'): readonly ResourceDifference[] {
  const names = new Set(other.resources.map(({ type, name }) => `${type} ${name}`));
  return one.resources
    .filter(({ type }) => type !== 'pulumi:pulumi:Stack')
    .filter(({ type, name }) => !names.has(`${type} ${name}`))
    .map(({ type, name, component }) => ({ type, name, component, isIn }));
}
