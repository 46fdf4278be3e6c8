import { type Markup, markup } from '../../../infra/plan/report/escape.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import { seconds } from './text.ts';

const width = 460;
const left = 46;
const right = 6;
/** Where each of the two plots begins, and how high they are. */
const counts = { top: 10, height: 110 };
const waits = { top: 142, height: 70 };
const bottom = waits.top + waits.height;

/** Where both scales end, the same for all policies so that they can be compared. */
export interface ChartScale {
  /** Predictions, and instances. What is above is cut off. */
  readonly count: number;
  readonly waitSeconds: number;
}

/** Demand with instances above, waits below, over the same time. */
export function overTime(name: string, timeline: Outcome['timeline'], most: ChartScale): Markup {
  const { everySeconds, demand, instances, waitP95Seconds } = timeline;
  const last = Math.max(1, demand.length - 1);
  const x = (at: number) => left + (at / last) * (width - left - right);
  const countAt = (value: number) => yOf(counts, Math.min(1, value / most.count));
  const waitAt = (value: number) => yOf(waits, Math.min(1, value / most.waitSeconds));
  const hours = (demand.length * everySeconds) / 3600;
  return markup`<svg viewBox="0 0 ${width} ${bottom + 22}" role="img" aria-label="${name}: demand, instances and waits over ${hours.toFixed(1)} hours">
${axis(counts, String(Math.ceil(most.count)))}${axis(waits, seconds(most.waitSeconds))}
<path class="area" d="${steps(demand.map(countAt), x)}L${point(x(last), yOf(counts, 0))}L${point(left, yOf(counts, 0))}Z"/>
<path class="line" d="${steps(instances.map(countAt), x)}"/>
<path class="waits" d="${broken(
    waitP95Seconds.map((wait) => (wait === null ? null : waitAt(wait))),
    x,
  )}"/>
<text class="tick" x="${left}" y="${bottom + 16}">0</text><text class="tick" x="${width - right}" y="${bottom + 16}" text-anchor="end">${timeText(hours)}</text>
</svg>`;
}

function axis(plot: typeof counts, most: string): Markup {
  const base = yOf(plot, 0);
  return markup`<line class="axis" x1="${left}" x2="${width - right}" y1="${base}" y2="${base}"/><line class="axis" x1="${left}" x2="${width - right}" y1="${plot.top}" y2="${plot.top}" stroke-dasharray="2 4"/><text class="tick" x="${left - 6}" y="${plot.top + 5}" text-anchor="end">${most}</text><text class="tick" x="${left - 6}" y="${base}" text-anchor="end">0</text>`;
}

function yOf(plot: typeof counts, share: number): number {
  return plot.top + plot.height * (1 - share);
}

/** A line that keeps each value until the next one. */
function steps(ys: readonly number[], x: (at: number) => number): string {
  return ys.map((y, at) => (at === 0 ? `M${point(x(0), y)}` : `H${rounded(x(at))}V${rounded(y)}`)).join('');
}

/** A line with gaps where there is no value; one value by itself is a dot. */
function broken(ys: readonly (number | null)[], x: (at: number) => number): string {
  return ys
    .map((y, at) => {
      if (y === null) return '';
      const before = ys[at - 1] ?? null;
      return before === null ? `M${point(x(at), y)}h0.8` : `L${point(x(at), y)}`;
    })
    .join('');
}

function point(x: number, y: number): string {
  return `${rounded(x)} ${rounded(y)}`;
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

function timeText(hours: number): string {
  if (hours >= 48) return `${Number((hours / 24).toFixed(1))} days`;
  return hours >= 1 ? `${Number(hours.toFixed(1))} hours` : `${Math.round(hours * 60)} minutes`;
}
