import type { CostLine } from './price/cost-line.ts';

/** Lines of the same thing put together: what it costs in both states. */
export interface CostRow {
  readonly component: string;
  readonly what: string;
  readonly unit: string;
  readonly unitUsd: number;
  /** Of `unit`, a month, in each state. */
  readonly quantity: { readonly idle: number; readonly peak: number };
  readonly monthlyUsd: { readonly idle: number; readonly peak: number };
  readonly source: string;
  readonly asOf: string | null;
  readonly assumption: string | undefined;
}

/** Rows of a bill, the dearest at peak first. Equal things of one component, such as its secrets, are one row. */
export function rowsOf(lines: readonly CostLine[]): readonly CostRow[] {
  const groups = Map.groupBy(lines, ({ component, what, unit, unitUsd }) =>
    JSON.stringify([component, what, unit, unitUsd]),
  );
  const rows = [...groups.values()].flatMap((same) => {
    const [first] = same;
    if (!first) return [];
    const sum = (at: CostLine['at'], of: (line: CostLine) => number) =>
      same.filter((line) => line.at === at).reduce((total, line) => total + of(line), 0);
    const { component, what, unit, unitUsd, source, asOf, assumption } = first;
    const quantity = { idle: sum('idle', (one) => one.quantity), peak: sum('peak', (one) => one.quantity) };
    const monthlyUsd = {
      idle: sum('idle', (one) => one.monthlyUsd),
      peak: sum('peak', (one) => one.monthlyUsd),
    };
    return [{ component, what, unit, unitUsd, quantity, monthlyUsd, source, asOf, assumption }];
  });
  return rows.sort((a, b) => b.monthlyUsd.peak - a.monthlyUsd.peak || a.what.localeCompare(b.what));
}
