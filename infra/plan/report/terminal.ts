import { type TierMargin, tierNote } from '../margin.ts';
import { mandatoryViolations, type Plan, type PolicyVerdict } from '../plan.ts';
import { type CostRow, rowsOf } from '../rows.ts';
import { componentsOf } from '../tree.ts';
import { counted, percent, unitUsd, usd } from './figures.ts';
import { inTwo, textTable, wrap } from './text-table.ts';

/** Styles of a terminal; each gives the text back as it is where there are none. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
}

/** Lines of a bill that are shown first. */
const topRows = 10;
const width = 100;

/** A plan on one screen: what it costs, what costs most, tiers with margins, components, policies. */
export function planInText(plan: Plan, paint: Paint): string {
  return [
    ...heading(plan, paint),
    ...bill(plan, paint),
    ...tiers(plan, paint),
    ...components(plan, paint),
    ...policies(plan, paint),
    ...notPriced(plan, paint),
  ].join('\n');
}

function heading(plan: Plan, paint: Paint): readonly string[] {
  const { project, environment, region, seconds, monthlyUsd, budgetUsd, budgetNote } = plan;
  const rows = [
    ['idle', usd(monthlyUsd.idle), 'a month while nobody calls'],
    [
      'peak',
      usd(monthlyUsd.peak),
      'a month with every machine busy all month, which is as much as it can come to',
    ],
    ['budget', usd(budgetUsd), 'a month, at which AWS tells you'],
  ];
  const [idle = '', peak = '', budget = ''] = textTable(rows, ['left', 'right', 'left']);
  return [
    `${paint.bold(`${project} ${environment}`)} in ${region}: ${plan.resources.length} resources, planned in ${seconds.toFixed(1)} s without credentials`,
    '',
    `  ${paint.bold(idle)}`,
    `  ${paint.bold(peak)}`,
    `  ${paint.dim(budget)}`,
    ...wrap(budgetNote ?? '', width - 2).flatMap((line, at) =>
      line === '' ? [] : [`${at === 0 ? paint.warn('!') : ' '} ${line}`],
    ),
    '',
  ];
}

function bill(plan: Plan, paint: Paint): readonly string[] {
  const rows = rowsOf(plan.lines);
  const rest = rows.slice(topRows);
  const sum = (state: 'idle' | 'peak') => rest.reduce((total, row) => total + row.monthlyUsd[state], 0);
  const more = [`${rest.length} more`, '(--lines)', usd(sum('idle')), usd(sum('peak')), ''];
  const table = [
    ['What costs most', '', 'idle', 'peak', ''],
    ...rows.slice(0, topRows).map(costCells),
    ...(rest.length > 0 ? [more] : []),
  ];
  return titled(textTable(table, ['left', 'left', 'right', 'right', 'left']), paint);
}

function costCells(row: CostRow): readonly string[] {
  const { component, what, monthlyUsd } = row;
  return [component, what, usd(monthlyUsd.idle), usd(monthlyUsd.peak), reckoning(row)];
}

/** `730 hours × $0.526`; where both states have some, `730 → 1,460 hours × $0.0336`. */
export function reckoning({ quantity, unit, unitUsd: price }: CostRow): string {
  const { idle, peak } = quantity;
  const amount =
    idle > 0 && idle !== peak ? `${counted(idle, '').trim()} → ${counted(peak, unit)}` : counted(peak, unit);
  return `${amount} × ${unitUsd(price)}`;
}

function tiers(plan: Plan, paint: Paint): readonly string[] {
  const off = plan.tiersOff.flatMap(({ would }) => (would ? [would] : []));
  const table = [
    ['Tiers', 'machines', 'AWS, GPU-hour', 'AWS, second', 'price, second', 'margin', 'always-on pays from'],
    ...plan.tiers.map((tier) => tierCells(tier, `${tier.min} to ${tier.max} `)),
    ...off.map((tier) => tierCells(tier, 'off: ')),
  ];
  const alignments = ['left', 'left', 'right', 'right', 'right', 'right', 'left'] as const;
  const [head = '', ...lines] = textTable(table, alignments);
  const notes = [...plan.tiers, ...off].flatMap((tier) => {
    const note = tierNote(tier);
    return note === undefined ? [] : [`${paint.warn('!')} ${tier.sku} ${note}`];
  });
  const unsold = plan.tiersOff.flatMap(({ sku, why, would }) =>
    would ? [] : [`${paint.warn('!')} ${sku}: ${why}`],
  );
  return [
    paint.bold(head),
    ...lines.map((line, at) => (at < plan.tiers.length ? line : paint.dim(line))),
    ...notes,
    ...unsold,
    ...(off.length > 0 ? [paint.dim('A tier is on with "SKU: {max: 1}" under mimeo:tiers.')] : []),
    '',
  ];
}

function tierCells(tier: TierMargin, size: string): readonly string[] {
  const { sku, instanceType, capacity, gpus, alwaysOnHoursPerDay: hours } = tier;
  const machine = `${instanceType}${gpus > 1 ? ` of ${gpus} GPUs` : ''}${capacity === 'spot' ? ', spot' : ''}`;
  return [
    sku,
    `${size}${machine}`,
    `$${tier.awsUsdPerGpuHour.toFixed(3)}`,
    `${Math.round(tier.awsMicroUsdPerSecond)} µ$`,
    `${tier.priceMicroUsdPerSecond} µ$`,
    percent(tier.marginPercent),
    hours === undefined ? 'never' : `${hours.toFixed(1)} busy hours a day`,
  ];
}

function components(plan: Plan, paint: Paint): readonly string[] {
  const all = componentsOf(plan.resources);
  const rows = all.map(({ name, resources, monthlyUsd }) => [
    name,
    String(resources.length),
    usd(monthlyUsd.idle),
    usd(monthlyUsd.peak),
  ]);
  const lines = textTable(rows, ['left', 'right', 'right', 'right']);
  const count = all.reduce((sum, { resources }) => sum + resources.length, 0);
  const title = `Components: ${count} resources, idle and peak (--resources)`;
  return [paint.bold(title), ...inTwo(lines, '      ').map((line) => `  ${line}`), ''];
}

function policies(plan: Plan, paint: Paint): readonly string[] {
  const failed = plan.policies.filter(({ verdict }) => verdict === 'fail');
  const passed = plan.policies.length - failed.length;
  const must = mandatoryViolations(plan).length;
  const verdict =
    must > 0
      ? paint.bad(`${must} of ${plan.policies.length} policies forbid this`)
      : paint.good(`${passed} of ${plan.policies.length} policies pass`);
  return [
    `${paint.bold('Policies:')} ${verdict}`,
    ...failed.flatMap((one) => violationLines(one, paint)),
    '',
  ];
}

function violationLines(one: PolicyVerdict, paint: Paint): readonly string[] {
  const mark = one.enforcement === 'mandatory' ? paint.bad('✗') : paint.warn('!');
  const violations = one.violations.flatMap(({ urn, message }) => {
    const name = urn?.split('::').at(-1);
    return wrap(`${name ? `${name}: ` : ''}${message}`, width - 6).map((line) => `      ${line}`);
  });
  return [`  ${mark} ${one.policy} (${one.enforcement}): ${one.description}`, ...violations];
}

function notPriced(plan: Plan, paint: Paint): readonly string[] {
  const lines = plan.notPriced.map(({ name, type, why }) => `  ${name} (${type}): ${why}`);
  const leftOut = 'Left out: taxes, support, bytes between zones, and what an account has free.';
  if (lines.length === 0) return [paint.dim(leftOut)];
  return [paint.warn('Not priced, so it costs more than this:'), ...lines, '', paint.dim(leftOut)];
}

function titled(table: readonly string[], paint: Paint, hasGap = true): readonly string[] {
  const [head = '', ...rows] = table;
  return [paint.bold(head), ...rows, ...(hasGap ? [''] : [])];
}
