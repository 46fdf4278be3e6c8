import { z } from 'zod';
import { type Workload, WorkloadBuilder } from '../workload.ts';
import type { NamedText } from './azure-functions.ts';
import { linesOf, TraceError, wrongLine } from './lines.ts';

const time = z.iso.datetime({ offset: true });

/** What is read of a prediction, as `GET /v1/predictions` lists it. */
const itemSchema = z.object({
  model: z.string(),
  version: z.string().nullish(),
  deployment: z.string().nullish(),
  created_at: time,
  started_at: time.nullish(),
  completed_at: time.nullish(),
  metrics: z.object({ predict_time: z.number().nonnegative().optional() }).nullish(),
  cost: z.object({ sku: z.string().optional() }).nullish(),
});
type Item = z.infer<typeof itemSchema>;

/** A history, and how many of its predictions could not be used. */
export interface History {
  readonly workload: Workload;
  /** Those that never ran, such as canceled ones, or have not ended. */
  readonly leftOut: number;
}

/**
 * Mimeo's own history: predictions as `GET /v1/predictions` lists them, one as JSON on each line, in any order. Those of
 * one version on one hardware, or of one deployment, are a pool.
 * @throws TraceError
 */
export function readHistory({ file, text }: NamedText): History {
  const items = linesOf(text).map((line) => {
    const parsed = itemSchema.safeParse(jsonOf(line.text));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.');
    throw wrongLine(file, line, where ? `${where}: ${issue?.message}` : 'is no prediction as JSON');
  });
  const builder = new WorkloadBuilder(file);
  const first = items.reduce((least, item) => Math.min(least, Date.parse(item.created_at)), Infinity);
  let leftOut = 0;
  for (const item of items) {
    const runMs = runMsOf(item);
    if (runMs === null) leftOut += 1;
    else builder.add(poolOf(item), Date.parse(item.created_at) - first, runMs);
  }
  if (builder.jobs === 0) throw new TraceError(`${file} has no prediction that has run.`);
  return { workload: builder.build(), leftOut };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function poolOf({ model, version, deployment, cost }: Item): string {
  return deployment ?? `${model}:${version ?? ''}@${cost?.sku ?? ''}`;
}

function runMsOf({ started_at: started, completed_at: completed, metrics }: Item): number | null {
  if (!started || !completed) return null;
  const seconds = metrics?.predict_time;
  return seconds === undefined ? Math.max(0, Date.parse(completed) - Date.parse(started)) : seconds * 1000;
}
