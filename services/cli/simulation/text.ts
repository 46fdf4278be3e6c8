import { usd } from '../../../infra/plan/report/figures.ts';
import type { Paint } from '../../../infra/plan/report/terminal.ts';
import { textTable } from '../../../infra/plan/report/text-table.ts';
import type { Comparison, Verdict } from '../../simulator/compare.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import { settingsInWords } from '../../simulator/scalers/mimeo.ts';
import { publishedTimes } from '../../simulator/world.ts';
import type { SimulatedEnvironment } from './setting.ts';

const head = ['', 'p50 wait', 'p95', 'p99', 'cold', 'GPU-hours', 'idle', 'cost', 'per 1,000', 'most'];
const alignments = ['left', ...head.slice(1).map(() => 'right' as const)] as const;

/** A comparison for a terminal. */
export function comparisonInText(
  { workload, outcomes, verdicts, matches }: Comparison,
  env: SimulatedEnvironment,
  paint: Paint,
): string {
  const [title = '', ...rows] = textTable([head, ...outcomes.map(cellsOf)], alignments);
  return [
    paint.bold(workload.name),
    `${count(workload.predictions)} predictions in ${count(Math.round(workload.hours))} hours, ${workload.runSecondsMean} s each on average${workload.pools === 1 ? '' : `, in ${workload.pools} pools`}`,
    paint.dim(worldInWords(env)),
    '',
    paint.bold(title),
    ...rows,
    '',
    ...outcomes.map(({ policy, about }) => paint.dim(`${policy}: ${about}`)),
    '',
    ...etaLines(outcomes[0]),
    ...verdicts.map((verdict) => verdictLine('mimeo', verdict, paint)),
    ...(matches ?? []).flatMap(({ baseline, settings, outcome, verdict }) => {
      if (!settings || !outcome || !verdict) {
        return [paint.warn(`No settings that were tried are as quick as ${baseline}.`)];
      }
      const name = `mimeo with ${settingsInWords(settings)}`;
      return [`${verdictLine(name, verdict, paint)} (p95 ${seconds(outcome.waitSeconds.p95)})`];
    }),
  ].join('\n');
}

/** Machines and times, in a sentence. */
export function worldInWords({ environment, region, machines, world }: SimulatedEnvironment): string {
  const { times } = world;
  const standby = machines.stopped > 0 ? `, ${machines.stopped} standing by` : '';
  const pull = Math.round((times.imageGb * 1000) / times.pullMbPerSecond);
  return `${environment} in ${region}: ${machines.sku}, ${machines.min} to ${machines.max} × ${machines.instanceType} at $${machines.usdPerHour} an hour${standby}, given back after ${machines.idleSeconds} s; a machine takes ${times.nodeSeconds} s (${times.stoppedNodeSeconds} s from standing by), its first pull ${pull} s, a setup ${times.setupSeconds} s`;
}

/** Where each time is from that is as published. */
export function sourcesInWords({ world }: SimulatedEnvironment): readonly string[] {
  return Object.entries(publishedTimes).map(([name, { value, unit, source }]) => {
    const own = Object.entries(world.times).find(([key]) => key === name)?.[1];
    return own === value ? `${name}: ${value} ${unit}, ${source}` : `${name}: ${own} ${unit}, as asked for`;
  });
}

function cellsOf(outcome: Outcome): readonly string[] {
  const { waitSeconds: wait } = outcome;
  return [
    outcome.policy,
    seconds(wait.p50),
    seconds(wait.p95),
    seconds(wait.p99),
    share(outcome.coldShare),
    outcome.gpuHoursHeld.toFixed(1),
    share(outcome.idleShare),
    usd(outcome.machineUsd),
    usd(outcome.usdPerThousand),
    String(outcome.peakInstances),
  ];
}

function etaLines(mimeo: Outcome | undefined): readonly string[] {
  if (!mimeo?.eta) return [];
  const { foretold, unknownShare, errorSeconds } = mimeo.eta;
  return [
    `ETA of ${count(foretold)} predictions that waited: off by ${seconds(errorSeconds.p50)} (p50) and ${seconds(errorSeconds.p95)} (p95); ${share(unknownShare)} had none`,
    '',
  ];
}

function verdictLine(name: string, { baseline, cheaper, asQuick, costRatio }: Verdict, paint: Paint): string {
  const cost = costRatio === null ? '' : `${(costRatio * 100).toFixed(0)} % of its cost`;
  const text = `${name} against ${baseline}: ${cost}, ${asQuick ? 'as quick' : 'a longer p95 wait'}`;
  return cheaper && asQuick ? paint.good(`✓ ${text}`) : paint.warn(`✗ ${text}`);
}

/** `4.2 s`, `0 s`, `120 ms`. */
export function seconds(value: number): string {
  if (value > 0 && value < 1) return `${Math.round(value * 1000)} ms`;
  return `${value >= 100 ? Math.round(value) : Number(value.toFixed(1))} s`;
}

/** `12 %`, `0.4 %`. */
export function share(value: number): string {
  const percent = value * 100;
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
