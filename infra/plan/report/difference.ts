import type { PlanDifference } from '../diff.ts';
import { shortType } from './details.ts';
import { signedUsd, usd } from './figures.ts';
import type { Paint } from './terminal.ts';
import { textTable } from './text-table.ts';

/** What differs between two plans, for a terminal. */
export function differenceInText(difference: PlanDifference, paint: Paint): string {
  const { before, after, monthlyUsd, costs, resources } = difference;
  const alignments = ['left', 'left', 'right', 'right', 'right', 'right'] as const;
  const totals = (state: 'idle' | 'peak') =>
    `${state} ${usd(monthlyUsd.before[state])} → ${usd(monthlyUsd.after[state])} (${signedUsd(monthlyUsd.after[state] - monthlyUsd.before[state])})`;
  const table = textTable(
    [
      ['What costs other', '', `idle, ${before}`, after, `peak, ${before}`, after],
      ...costs.map(({ component, what, before: was, after: is }) => [
        component,
        what,
        usd(was.idle),
        usd(is.idle),
        usd(was.peak),
        usd(is.peak),
      ]),
    ],
    alignments,
  );
  const [head = '', ...rows] = table;
  return [
    paint.bold(`${before} → ${after}`),
    `  ${totals('idle')}`,
    `  ${totals('peak')}`,
    '',
    ...(costs.length > 0 ? [paint.bold(head), ...rows] : ['No cost differs.']),
    '',
    ...resourceLines(difference, 'after', paint),
    ...resourceLines(difference, 'before', paint),
    ...(resources.length === 0 ? ['Both have the same resources.'] : []),
  ].join('\n');
}

function resourceLines(
  { resources, before, after }: PlanDifference,
  isIn: 'before' | 'after',
  paint: Paint,
): readonly string[] {
  const mine = resources.filter((one) => one.isIn === isIn);
  if (mine.length === 0) return [];
  const mark = isIn === 'after' ? paint.good('+') : paint.bad('−');
  const rows = textTable(
    mine.map(({ component, name, type }) => [component, name, shortType(type)]),
    ['left', 'left', 'left'],
  );
  const title = paint.bold(`Only in ${isIn === 'after' ? after : before}: ${mine.length} resources`);
  return [title, ...rows.map((row) => `${mark} ${row}`), ''];
}
