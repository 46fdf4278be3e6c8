import { Markup, markup } from '../../../infra/plan/report/escape.ts';
import { percent, usd } from '../../../infra/plan/report/figures.ts';
import { style } from '../../../infra/plan/report/style.ts';
import type { Comparison, Verdict } from '../../simulator/compare.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import { settingsInWords } from '../../simulator/scalers/mimeo.ts';
import { overTime } from './charts.ts';
import type { SimulatedEnvironment } from './setting.ts';
import { seconds, share, sourcesInWords, worldInWords } from './text.ts';

/** Waits that are shown as one, by the longest of them in seconds, and how that is called. */
const waitClasses: readonly (readonly [upTo: number, label: string])[] = [
  [0, 'none'],
  [1, 'up to 1 s'],
  [10, 'up to 10 s'],
  [60, 'up to 1 min'],
  [300, 'up to 5 min'],
  [Number.POSITIVE_INFINITY, 'longer'],
];

const ownStyle = `
:root { --wait-0: #d9e8d9; --wait-1: #b5d3ea; --wait-2: #6fa8dc; --wait-3: #e3b341; --wait-4: #d9762b; --wait-5: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --wait-0: #2f4634; --wait-1: #2d4a63; --wait-2: #4d86c0; --wait-3: #b8860b; --wait-4: #c8621c; --wait-5: #d0453c; }
}
.runs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr)); gap: 14px; }
.runs h3 { margin: 0; font-size: 16px; }
.runs svg { display: block; width: 100%; height: auto; margin-top: 8px; }
svg .area { fill: var(--dim); opacity: 0.32; }
svg .line { fill: none; stroke: var(--accent); stroke-width: 1.6; }
svg .waits { fill: none; stroke: var(--warn); stroke-width: 1.6; }
svg .axis { stroke: var(--line); stroke-width: 1; }
svg text.tick { fill: var(--dim); font-size: 12px; }
.split { display: flex; height: 20px; border-radius: 5px; overflow: hidden; background: var(--plane); }
.split i { display: block; height: 100%; }
.split i + i { border-left: 1px solid var(--card); }
.rows { display: grid; grid-template-columns: max-content 1fr max-content; gap: 10px 14px; align-items: center; }
.rows span:nth-child(3n) { font-variant-numeric: tabular-nums; text-align: right; }
.key { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 12px 0 0; font-size: 13px; color: var(--dim); }
.key i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px; vertical-align: -1px; }
.scroll { overflow-x: auto; }
`;

/** A comparison as one page that needs nothing else: no script, no request. All that comes from a trace is escaped. */
export function comparisonAsPage(comparison: Comparison, env: SimulatedEnvironment): string {
  const { workload, outcomes } = comparison;
  const { text } = markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Mimeo: a simulation</title><style>${new Markup(style + ownStyle)}</style></head>
<body><main>
<h1>${workload.name}</h1>
<p class="dim">${workload.predictions.toLocaleString('en-US')} predictions in ${Math.round(workload.hours).toLocaleString('en-US')} hours, ${workload.runSecondsMean} s each on average${workload.pools === 1 ? '' : `, in ${workload.pools} pools`}. ${worldInWords(env)}.</p>
${headline(outcomes[0])}
<h2>What users feel and what it costs</h2>
<div class="scroll">${table(outcomes)}</div>
<h2>Mimeo against each</h2>
${verdicts(comparison)}
<h2>Cost by policy</h2>
${costs(outcomes)}
<h2>How long predictions wait</h2>
${waits(outcomes)}
<h2>Over time${workload.name.includes(';') ? ', of the first seed' : ''}</h2>
${runs(outcomes)}
<h2>What is supposed</h2>
<ol class="sources"><li>Machines cost ${usd(env.machines.usdPerHour)} an hour: ${env.machines.source}</li>${sourcesInWords(env).map((line) => markup`<li>${line}</li>`)}</ol>
</main></body></html>
`;
  return text;
}

function headline(mimeo: Outcome | undefined): Markup | undefined {
  if (!mimeo) return undefined;
  const card = (label: string, value: string, note: string) =>
    markup`<div class="card total">${label}<strong>${value}</strong><span class="dim">${note}</span></div>`;
  const eta =
    mimeo.eta === null
      ? undefined
      : card(
          'ETA',
          `± ${seconds(mimeo.eta.errorSeconds.p50)}`,
          `off by at most this half of the time; ${share(mimeo.eta.unknownShare)} had none`,
        );
  return markup`<div class="totals">${card('p95 wait', seconds(mimeo.waitSeconds.p95), `p50 ${seconds(mimeo.waitSeconds.p50)}, p99 ${seconds(mimeo.waitSeconds.p99)}`)}${card('Machines', usd(mimeo.machineUsd), `${usd(mimeo.usdPerThousand)} per 1,000 predictions`)}${card('Cold starts', share(mimeo.coldShare), 'found no instance ready')}${eta}</div>`;
}

function table(outcomes: readonly Outcome[]): Markup {
  const columns = ['p50 wait', 'p95', 'p99', 'cold', 'GPU-hours', 'idle', 'cost'];
  const row = (one: Outcome) => {
    const { p50, p95, p99 } = one.waitSeconds;
    const cells = [
      seconds(p50),
      seconds(p95),
      seconds(p99),
      share(one.coldShare),
      one.gpuHoursHeld.toFixed(1),
      share(one.idleShare),
      usd(one.machineUsd),
    ];
    return markup`<tr><td><b>${one.policy}</b><small>${one.about}</small></td>${cells.map((cell) => markup`<td class="number">${cell}</td>`)}</tr>
`;
  };
  return markup`<table><thead><tr><th>Policy</th>${columns.map((column) => markup`<th class="number">${column}</th>`)}</tr></thead><tbody>${outcomes.map(row)}</tbody></table>`;
}

function verdicts({ verdicts: all, matches }: Comparison): Markup {
  const line = (name: string, verdict: Verdict) => {
    const won = verdict.cheaper && verdict.asQuick;
    const cost = verdict.costRatio === null ? '' : `${percent(verdict.costRatio * 100)} of its cost, `;
    return markup`<li><b class="${won ? 'good' : 'warn'}">${won ? '✓' : '✗'}</b><b>${verdict.baseline}</b> <span class="dim">${name}</span><br>${cost}${verdict.asQuick ? 'as quick' : 'a longer p95 wait'}</li>
`;
  };
  const matched = (matches ?? []).map(({ baseline, settings, verdict }) => {
    if (!settings || !verdict) {
      return markup`<li><b class="warn">✗</b><b>${baseline}</b><br>No settings that were tried are as quick.</li>`;
    }
    return line(`with ${settingsInWords(settings)}`, verdict);
  });
  return markup`<ul class="policies">${all.map((verdict) => line('with the settings above', verdict))}${matched}</ul>
<p class="dim">✓: at most its cost, at a p95 wait that is at most 5 % (or 0.1 s) longer.</p>`;
}

function costs(outcomes: readonly Outcome[]): Markup {
  const most = Math.max(...outcomes.map(({ machineUsd }) => machineUsd), 1e-9);
  const rows = outcomes.map(({ policy, machineUsd, idleShare }) => {
    const width = (machineUsd / most) * 100;
    const busy = width * (1 - idleShare);
    return markup`<span>${policy}</span><span class="split"><i style="width:${busy.toFixed(2)}%;background:var(--accent)"></i><i style="width:${(width - busy).toFixed(2)}%;background:var(--dim)"></i></span><span>${usd(machineUsd)}</span>`;
  });
  return markup`<div class="card"><div class="rows">${rows}</div>
<p class="key"><span><i style="background:var(--accent)"></i>with a prediction</span><span><i style="background:var(--dim)"></i>booting, idle, or empty</span></p></div>`;
}

function waits(outcomes: readonly Outcome[]): Markup {
  const rows = outcomes.map(({ policy, waitShares, waitSeconds }) => {
    let from = Number.NEGATIVE_INFINITY;
    const parts = waitClasses.map(([upTo, label], at) => {
      const part = waitShares
        .filter(({ upToSeconds }) => (upToSeconds ?? Number.POSITIVE_INFINITY) <= upTo)
        .filter(({ upToSeconds }) => (upToSeconds ?? Number.POSITIVE_INFINITY) > from)
        .reduce((sum, one) => sum + one.share, 0);
      from = upTo;
      if (part === 0) return undefined;
      return markup`<i title="${label}: ${share(part)}" style="width:${(part * 100).toFixed(2)}%;background:var(--wait-${at})"></i>`;
    });
    return markup`<span>${policy}</span><span class="split">${parts}</span><span>p95 ${seconds(waitSeconds.p95)}</span>`;
  });
  const key = waitClasses.map(
    ([, label], at) => markup`<span><i style="background:var(--wait-${at})"></i>${label}</span>`,
  );
  return markup`<div class="card"><div class="rows">${rows}</div><p class="key">${key}</p></div>`;
}

function runs(outcomes: readonly Outcome[]): Markup {
  const most = {
    count: Math.max(
      1,
      ...outcomes.flatMap(({ timeline }) => [...timeline.instances, quantile(timeline.demand)]),
    ),
    waitSeconds: Math.max(
      1,
      ...outcomes.flatMap(({ timeline }) => timeline.waitP95Seconds.map((wait) => wait ?? 0)),
    ),
  };
  const cards = outcomes.map(
    ({ policy, about, timeline }) =>
      markup`<div class="card"><h3>${policy}</h3><small>${about}</small>${overTime(policy, timeline, most)}</div>`,
  );
  return markup`<div class="runs">${cards}</div>
<p class="key"><span><i style="background:var(--dim);opacity:.5"></i>predictions that wait or run</span><span><i style="background:var(--accent)"></i>instances, ready or starting</span><span><i style="background:var(--warn)"></i>p95 wait</span></p>`;
}

/** Nearly the most: one moment with a long queue shall not press everything else flat. */
function quantile(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(0.98 * sorted.length)] ?? 0;
}
