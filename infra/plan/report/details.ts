import type { Plan } from '../plan.ts';
import { rowsOf } from '../rows.ts';
import { componentsOf } from '../tree.ts';
import { usd } from './figures.ts';
import { type Paint, reckoning } from './terminal.ts';
import { textTable } from './text-table.ts';

/** Every line of the bill, with where and when its price was read and what its quantity rests on. */
export function linesInText(plan: Plan, paint: Paint): string {
  const rows = rowsOf(plan.lines);
  const table = textTable(
    rows.map((row) => [
      row.component,
      row.what,
      usd(row.monthlyUsd.idle),
      usd(row.monthlyUsd.peak),
      reckoning(row),
    ]),
    ['left', 'left', 'right', 'right', 'left'],
  );
  return table
    .flatMap((line, at) => {
      const row = rows[at];
      const from = `    ${row?.source ?? ''}${row?.asOf ? `, ${row.asOf}` : ''}`;
      const rests = row?.assumption === undefined ? [] : [paint.dim(`    supposed: ${row.assumption}`)];
      return [line, ...rests, paint.dim(from)];
    })
    .join('\n');
}

/** All resources as a tree of components, with what each costs. */
export function resourcesInText(plan: Plan, paint: Paint): string {
  return componentsOf(plan.resources)
    .flatMap(({ name, noun, resources, monthlyUsd }) => {
      const rows = resources.map((one, at) => [
        at === resources.length - 1 ? '└─' : '├─',
        one.name,
        shortType(one.type),
        usd(one.monthlyUsd.idle),
        usd(one.monthlyUsd.peak),
      ]);
      const title = `${paint.bold(name)} ${noun}: idle ${usd(monthlyUsd.idle)}, peak ${usd(monthlyUsd.peak)}`;
      return [title, ...textTable(rows, ['left', 'left', 'left', 'right', 'right'])];
    })
    .join('\n');
}

/** `aws:sqs/queue:Queue` → `aws sqs Queue`; the rest of a type says the same again. */
export function shortType(type: string): string {
  const [pack = '', module = '', name = ''] = type.split(':');
  return [pack, module.split('/')[0], name].filter(Boolean).join(' ');
}
