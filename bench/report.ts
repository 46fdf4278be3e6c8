import { extraRows } from './report-extras.ts';
import type { Comparison, Spread } from './summary.ts';
import type { Measured, Verdict } from './targets.ts';

/** Where and how something was measured. */
export interface Setting {
  readonly command: string;
  readonly cpus: string;
  readonly node: string;
  readonly cog: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly loadBefore: number;
}

export type Row = readonly [label: string, bare: string, mimeo: string, ratio: string, target: string];

/** Everything that was measured, for people. */
export function formatReport(setting: Setting, measured: Measured, verdicts: readonly Verdict[]): string {
  const find = (target: string) => verdicts.find((verdict) => verdict.target === target);
  const blocks = [
    ...loadRows(measured, find),
    ...streamRows(measured, find),
    ...coldRows(measured, find),
    ...extraRows(measured),
  ];
  const missed = verdicts.filter(({ met }) => !met).length;
  const outcome = missed === 0 ? 'Every target holds.' : `${missed} of ${verdicts.length} targets missed.`;
  const end = verdicts.length > 0 ? ['', outcome] : [];
  return `${[...intro(setting), '', ...align(blocks), ...end].join('\n')}\n`;
}

function intro({ command, cpus, node, cog, rounds, seconds, loadBefore }: Setting): string[] {
  return [
    `Bare Cog ${cog} against Mimeo in front of the same Cog: one Cog server on either side, in one run`,
    `${cpus}, Node ${node}, load average before ${loadBefore.toFixed(1)}`,
    `${rounds} pairs of rounds of ${seconds} s each; median (least – most) of rounds; ratios within pairs`,
    `$ ${command}`,
  ];
}

function loadRows({ load }: Measured, find: (target: string) => Verdict | undefined): Row[] {
  return load.flatMap(({ clients, comparisons, retriesEach }) => {
    const row = (label: string, measure: keyof typeof comparisons, digits: number): Row => {
      const { bare, mimeo, ratio }: Comparison = comparisons[measure];
      const target = inWords(find(`${clients}-clients-${measure}`));
      return [label, inFull(bare, digits), inFull(mimeo, digits), `× ${inFull(ratio, 2)}`, target];
    };
    const name = clients === 1 ? '1 client' : `${clients} clients`;
    return [
      [name, 'bare Cog', 'Mimeo', 'ratio', 'target'],
      row('  p50, ms', 'p50Ms', 2),
      row('  p95, ms', 'p95Ms', 2),
      row('  p99, ms', 'p99Ms', 2),
      row('  predictions a second', 'perSecond', 0),
      ['  409s, each asked again', `${inFull(retriesEach, 2)} each`, 'none', '', ''],
      ['', '', '', '', ''],
    ] satisfies Row[];
  });
}

function streamRows({ streams }: Measured, find: (target: string) => Verdict | undefined): Row[] {
  const delays = [...new Set(streams.map(({ delayMs }) => delayMs))];
  return delays.flatMap((delayMs) => {
    const of = (side: 'bare' | 'mimeo') =>
      streams.find((stream) => stream.side === side && stream.delayMs === delayMs);
    const [bare, mimeo] = [of('bare'), of('mimeo')];
    if (!bare || !mimeo) return [];
    const row = (label: string, which: 'first' | 'every', target: string): Row => {
      const cell = ({ p50Ms, p95Ms, mostMs }: (typeof bare)['first']) =>
        [p50Ms, p95Ms, mostMs].map((ms) => ms.toFixed(2)).join(' / ');
      const added = mimeo[which].p50Ms - bare[which].p50Ms;
      return [label, cell(bare[which]), cell(mimeo[which]), signed(added, 2), target];
    };
    return [
      [`Tokens every ${delayMs} ms`, 'bare Cog', 'Mimeo', 'added', 'target'],
      row('  first token late by, ms', 'first', inWords(find(`first-token-${delayMs}ms`), ' at p95')),
      row('  all tokens (p50 / p95 / most)', 'every', ''),
      ['', '', '', '', ''],
    ] satisfies Row[];
  });
}

function coldRows({ cold }: Measured, find: (target: string) => Verdict | undefined): Row[] {
  if (!cold) return [];
  const target = inWords(find('cold-start'), ' more');
  return [
    ['Cold start from zero', 'bare Cog', 'Mimeo', 'added', 'target'],
    [
      '  to the first answer, ms',
      inFull(cold.bareMs, 0),
      inFull(cold.mimeoMs, 0),
      signed(cold.addedMs, 0),
      target,
    ],
    ['  prediction to process, ms', '–', inFull(cold.wakeMs, 0), '', ''],
    ['  ready to begun, ms', '–', inFull(cold.handOverMs, 0), '', ''],
  ];
}

function inWords(verdict: Verdict | undefined, after = ''): string {
  if (!verdict) return '';
  const { met, sense, limit, unit, stretch, measured } = verdict;
  const size = unit === 'ms' ? `${limit} ms` : `× ${limit}`;
  const more = stretch === undefined ? '' : ` (stretch × ${stretch} ${measured <= stretch ? '✓' : '✗'})`;
  return `${sense === 'atMost' ? 'at most' : 'at least'} ${size}${after} ${met ? '✓' : '✗'}${more}`;
}

/** `median (least – most)` */
export function inFull({ median, least, most }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${least.toFixed(digits)} – ${most.toFixed(digits)})`;
}

function signed(value: number, digits: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
}

/** Rows as lines whose columns stand below each other. */
function align(rows: readonly Row[]): string[] {
  // A sentence of its own widens no column.
  const cells = rows.filter((row) => row[1] !== '');
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
