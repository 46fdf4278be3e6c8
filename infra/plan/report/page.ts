import { type TierMargin, tierNote } from '../margin.ts';
import type { Plan, PolicyVerdict } from '../plan.ts';
import { type CostRow, rowsOf } from '../rows.ts';
import { componentsOf, type PlannedComponent } from '../tree.ts';
import { shortType } from './details.ts';
import { diagram } from './diagram.ts';
import { Markup, markup } from './escape.ts';
import { percent, usd } from './figures.ts';
import { style } from './style.ts';
import { reckoning } from './terminal.ts';

/** A plan as one page that needs nothing else: no script, no request. All that comes from the plan is escaped. */
export function planAsPage(plan: Plan): string {
  const components = componentsOf(plan.resources);
  const { text } = markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${plan.project} ${plan.environment}: the plan</title><style>${new Markup(style)}</style></head>
<body><main>
${heading(plan)}
<h2>What it is</h2>
<div class="picture wide">${diagram(components, 4)}</div><div class="picture narrow">${diagram(components, 2)}</div>
<h2>Tiers</h2>
${tiers(plan)}
<h2>What it costs a month</h2>
${bill(plan)}
<h2>Policies</h2>
${policies(plan.policies)}
<h2>Resources</h2>
${components.map(resourcesOf)}
</main></body></html>
`;
  return text;
}

function heading(plan: Plan): Markup {
  const { project, environment, region, monthlyUsd, budgetUsd, budgetNote, resources, notPriced } = plan;
  const total = (label: string, amount: number, note: string) =>
    markup`<div class="card total">${label}<strong>${usd(amount)}</strong><span class="dim">${note}</span></div>`;
  const missing = notPriced.map(
    ({ name, type, why }) =>
      markup`<p class="warn">Not priced: <b>${name}</b> (${shortType(type)}): ${why}</p>`,
  );
  return markup`<h1>${project} ${environment}</h1>
<p class="dim">What <code>pulumi up</code> would build in ${region}: ${resources.length} resources, USD a month of 730 hours.</p>
<div class="totals">${total('Idle', monthlyUsd.idle, 'while nobody calls')}${total('Peak', monthlyUsd.peak, 'with every machine busy all month')}${total('Budget', budgetUsd, 'at which AWS tells you')}</div>
${budgetNote === undefined ? '' : markup`<p class="warn">${budgetNote}</p>`}
${missing}`;
}

function tiers({ tiers: on, tiersOff }: Plan): Markup {
  const off = tiersOff.map(({ sku, why, would }) =>
    would
      ? tierCard(would, 'off')
      : markup`<div class="card off"><h3>${sku}</h3><p class="dim">off: ${why}</p></div>`,
  );
  return markup`<div class="tiers">${on.map((tier) => tierCard(tier, 'on'))}${off}</div>`;
}

function tierCard(tier: TierMargin, state: 'on' | 'off'): Markup {
  const { sku, name, instanceType, gpus, min, max, capacity, alwaysOnHoursPerDay: hours } = tier;
  const size = state === 'on' ? `${min} to ${max} ×` : 'off:';
  const machine = `${size} ${instanceType}${gpus > 1 ? ` of ${gpus} GPUs` : ''}${capacity === 'spot' ? ', spot' : ''}`;
  const most = Math.max(tier.awsMicroUsdPerSecond, tier.priceMicroUsdPerSecond);
  const bar = (label: string, kind: string, micro: number) =>
    markup`<span>${label}</span><i class="${kind}" style="width:${((micro / most) * 100).toFixed(1)}%"></i><span>${Math.round(micro)} µ$/s</span>`;
  const note = tierNote(tier);
  const always =
    hours === undefined
      ? 'Always on never pays.'
      : `Always on pays from ${hours.toFixed(1)} busy hours a day.`;
  return markup`<div class="card${state === 'off' ? ' off' : ''}"><h3>${sku}</h3><small>${name}; ${machine}</small>
<div class="bars">${bar('AWS', 'aws', tier.awsMicroUsdPerSecond)}${bar('price', 'price', tier.priceMicroUsdPerSecond)}</div>
<p>Margin <b class="${tier.marginPercent < 0 ? 'bad' : 'good'}">${percent(tier.marginPercent)}</b> when it is fully packed, at $${tier.awsUsdPerGpuHour.toFixed(3)} an hour. ${always}</p>${note === undefined ? undefined : markup`<p class="warn">It ${note}.</p>`}</div>
`;
}

function bill({ lines, monthlyUsd }: Plan): Markup {
  const rows = rowsOf(lines);
  const sources = [...new Set(rows.map(sourceOf))];
  const body = rows.map(
    (
      row,
    ) => markup`<tr><td><b>${row.component}</b> ${row.what}<sup><a href="#source-${sources.indexOf(sourceOf(row)) + 1}">${sources.indexOf(sourceOf(row)) + 1}</a></sup><small>${reckoning(row)}</small>${row.assumption === undefined ? undefined : markup`<small>supposed: ${row.assumption}</small>`}</td><td class="number">${usd(row.monthlyUsd.idle)}</td><td class="number">${usd(row.monthlyUsd.peak)}</td></tr>
`,
  );
  const list = sources.map(
    (source, at) => markup`<li id="source-${at + 1}">${source}</li>
`,
  );
  return markup`<table><thead><tr><th>For</th><th class="number">Idle</th><th class="number">Peak</th></tr></thead><tbody>${body}</tbody>
<tfoot><tr><td>Together</td><td class="number">${usd(monthlyUsd.idle)}</td><td class="number">${usd(monthlyUsd.peak)}</td></tr></tfoot></table>
<p class="dim">Left out: taxes, support, bytes between zones, and what an account has free. Prices are those of:</p><ol class="sources">${list}</ol>`;
}

function sourceOf({ source, asOf }: CostRow): string {
  return asOf === null ? source : `${source} (${asOf})`;
}

function policies(all: readonly PolicyVerdict[]): Markup {
  const worst = all.toSorted((a, b) => rank(a) - rank(b));
  const items = worst.map(({ policy, description, enforcement, verdict, violations }) => {
    const mark =
      verdict === 'pass'
        ? markup`<b class="good">✓</b>`
        : markup`<b class="${enforcement === 'mandatory' ? 'bad' : 'warn'}">✗</b>`;
    const found = violations.map(
      ({ urn, message }) => markup`<small>${urn?.split('::').at(-1)} ${message}</small>`,
    );
    return markup`<li>${mark}<b>${policy}</b> <span class="dim">${enforcement}</span><br>${description}${found}</li>
`;
  });
  return markup`<ul class="policies">${items}</ul>`;
}

/** Mandatory violations first, then advice, then what passes. */
function rank({ enforcement, verdict }: PolicyVerdict): number {
  if (verdict === 'pass') return 2;
  return enforcement === 'mandatory' ? 0 : 1;
}

function resourcesOf({ name, noun, resources, monthlyUsd }: PlannedComponent): Markup {
  const rows = resources.map(
    (
      one,
    ) => markup`<tr><td>${one.name}<small>${shortType(one.type)}</small></td><td class="number">${usd(one.monthlyUsd.idle)}</td><td class="number">${usd(one.monthlyUsd.peak)}</td></tr>
`,
  );
  return markup`<details><summary><b>${name}</b> <span class="dim">${noun} ${resources.length}</span><span class="number">${usd(monthlyUsd.idle)} · ${usd(monthlyUsd.peak)}</span></summary><table>${rows}</table></details>
`;
}
