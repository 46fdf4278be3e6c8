import { Chance } from '../chance.ts';
import { type Workload, WorkloadBuilder } from '../workload.ts';
import { Table, TraceError } from './lines.ts';

/** Points of a distribution in the trace's file of durations, as shares and columns. */
const percentiles: readonly (readonly [share: number, column: string])[] = [
  [0, 'percentile_Average_0'],
  [0.01, 'percentile_Average_1'],
  [0.25, 'percentile_Average_25'],
  [0.5, 'percentile_Average_50'],
  [0.75, 'percentile_Average_75'],
  [0.99, 'percentile_Average_99'],
  [1, 'percentile_Average_100'],
];
const minuteMs = 60_000;

/** Text with the name of its file, for messages. */
export interface NamedText {
  readonly file: string;
  readonly text: string;
}

/**
 * The Azure Functions trace of 2019: a day's invocations of each function by minute, and how long they ran. A function is a
 * pool. Within a minute, invocations are spread by chance. A function without durations runs as the others do at their
 * median.
 * Source of the format: Azure/AzurePublicDataset, AzureFunctionsDataset2019.md (invocations_per_function_md.anon.d*.csv,
 * function_durations_percentiles.anon.d*.csv, in ms).
 * @throws TraceError
 */
export function readAzureFunctions(
  invocations: NamedText,
  durations: NamedText,
  options: { readonly seed: number },
): Workload {
  const chance = new Chance(options.seed);
  const known = readDurations(durations);
  const medians = [...known.values()].map((points) => points[3] ?? 0).sort((a, b) => a - b);
  const usual = medians[medians.length >> 1];
  if (usual === undefined) throw new TraceError(`${durations.file} has no durations.`);
  const table = new Table(invocations.file, invocations.text);
  if (!table.has('1'))
    throw new TraceError(`${invocations.file}, line 1: has no minutes (columns 1 to 1440).`);
  let minutes = 1;
  while (table.has(String(minutes + 1))) minutes += 1;
  const builder = new WorkloadBuilder(invocations.file);
  for (const row of table.rows) {
    const cells = table.cells(row);
    const name = table.text(row, cells, 'HashFunction');
    const points = known.get(name) ?? percentiles.map(() => usual);
    for (let minute = 0; minute < minutes; minute++) {
      const count = table.number(row, cells, String(minute + 1));
      for (let at = 0; at < count; at++) {
        builder.add(name, (minute + chance.next()) * minuteMs, drawn(points, chance.next()));
      }
    }
  }
  if (builder.jobs === 0) throw new TraceError(`${invocations.file} has no invocations.`);
  return builder.build(minutes * minuteMs);
}

/** Whether a first line is that of the invocations. */
export function isAzureFunctions(header: string): boolean {
  return header.startsWith('HashOwner,HashApp,HashFunction,Trigger,');
}

function readDurations({ file, text }: NamedText): ReadonlyMap<string, readonly number[]> {
  const table = new Table(file, text);
  return new Map(
    table.rows.map((row) => {
      const cells = table.cells(row);
      const points = percentiles.map(([, column]) => table.number(row, cells, column));
      return [table.text(row, cells, 'HashFunction'), points];
    }),
  );
}

/** A run time of a distribution that is straight between its known points. */
function drawn(points: readonly number[], share: number): number {
  const above = percentiles.findIndex(([known]) => known >= share);
  if (above <= 0) return points[0] ?? 0;
  const [low = 0] = percentiles[above - 1] ?? [];
  const [high = 1] = percentiles[above] ?? [];
  const from = points[above - 1] ?? 0;
  return from + ((points[above] ?? 0) - from) * ((share - low) / (high - low));
}
