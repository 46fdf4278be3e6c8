import { z } from 'zod';
import type { ScalingPolicy } from '../core/scaling.ts';
import { type Outcome, outcomeSchema, summarize } from './outcome.ts';
import type { Scaler } from './scaler.ts';
import { fixedScaler, peakSlots, slotsForWait } from './scalers/fixed.ts';
import { kedaScaler } from './scalers/keda.ts';
import { knativeScaler } from './scalers/knative.ts';
import { mimeoScaler } from './scalers/mimeo.ts';
import { simulate } from './simulation.ts';
import type { Workload } from './workload.ts';
import type { World } from './world.ts';

/** A wait is as good as another that is shorter by no more than this part, or by no more than so many seconds. */
const waitTolerance = 0.05;
const waitGrainSeconds = 0.1;

const verdictSchema = z.object({
  baseline: z.string(),
  /** Whether Mimeo costs at most as much. */
  cheaper: z.boolean(),
  /** Whether Mimeo's p95 wait is at most 5 % (or 0.1 s) longer. */
  asQuick: z.boolean(),
  /** What Mimeo costs ÷ what the baseline does; null where the baseline costs nothing. */
  costRatio: z.number().nullable(),
});

const matchSchema = z.object({
  baseline: z.string(),
  /** Mimeo's settings that are the cheapest of those that are as quick as the baseline, by the tuning seeds. */
  settings: z
    .object({
      min: z.int(),
      buffer: z.int(),
      idleSeconds: z.number(),
      drainSeconds: z.number().nullable(),
    })
    .nullable(),
  /** What they come to on the seeds that were asked for; null where no settings are as quick. */
  outcome: outcomeSchema.nullable(),
  verdict: verdictSchema.nullable(),
});

/** What a comparison says, as `--json` prints it. */
export const comparisonSchema = z.object({
  workload: z.object({
    name: z.string(),
    predictions: z.int(),
    hours: z.number(),
    pools: z.int(),
    runSecondsMean: z.number(),
  }),
  /** Mimeo first, then the baselines. */
  outcomes: z.array(outcomeSchema),
  verdicts: z.array(verdictSchema),
  /** Mimeo with settings that suit, against each baseline; absent where that was not asked for. */
  matches: z.array(matchSchema).optional(),
});
export type Comparison = z.infer<typeof comparisonSchema>;
export type Verdict = z.infer<typeof verdictSchema>;

export interface ComparisonOptions {
  /** One for each seed. */
  readonly workloads: readonly Workload[];
  readonly world: World;
  readonly policy: ScalingPolicy;
  /** Workloads to choose Mimeo's settings by, against each baseline. @default settings are as they are */
  readonly tuning?: readonly Workload[];
  /** Waited for between two runs: to let other things happen, or to stop by throwing. */
  readonly between?: () => Promise<void>;
}

/** Runs workloads under Mimeo's policy and under each baseline. The same options give the same answer. */
export async function compare(options: ComparisonOptions): Promise<Comparison> {
  const { workloads, world, policy, tuning, between = async () => undefined } = options;
  const outcomeOf: OutcomeOf = async (of, scalerFor) => runAll(of, world, scalerFor, between);
  const mimeo = await outcomeOf(workloads, () => mimeoScaler(policy));
  const baselines = baselinesFor(workloads, world, policy, mimeo);
  const others: Outcome[] = [];
  for (const scalerFor of baselines) others.push(await outcomeOf(workloads, scalerFor));
  return {
    workload: describe(workloads),
    outcomes: [mimeo, ...others],
    verdicts: others.map((other) => verdictOf(mimeo, other)),
    ...(tuning && {
      matches: await matchAll(baselines, others, { workloads, policy, tuning, outcomeOf }),
    }),
  };
}

type ScalerFor = (workload: Workload) => Scaler;

type OutcomeOf = (workloads: readonly Workload[], scalerFor: ScalerFor) => Promise<Outcome>;

async function runAll(
  workloads: readonly Workload[],
  world: World,
  scalerFor: ScalerFor,
  between: () => Promise<void>,
): Promise<Outcome> {
  const [first] = workloads;
  if (!first) throw new Error('There is no workload to simulate.');
  const runs: Parameters<typeof summarize>[2][number][] = [];
  for (const workload of workloads) {
    await between();
    const trail = simulate({ workload, world, scaler: scalerFor(workload) });
    runs.push({ trail, arrivalMs: workload.arrivalMs });
  }
  return summarize(scalerFor(first), world, runs);
}

function baselinesFor(
  workloads: readonly Workload[],
  world: World,
  { max }: ScalingPolicy,
  mimeo: Outcome,
): readonly ScalerFor[] {
  const { concurrency } = world;
  const fixed = (name: string, about: string, slots: (workload: Workload) => readonly number[]) => {
    return (workload: Workload) => {
      const counts = slots(workload).map((count) =>
        Math.max(1, Math.min(max, Math.ceil(count / concurrency))),
      );
      return fixedScaler(name, about, fitting(counts, world.maxInstances));
    };
  };
  const waitMs = (mimeo.waitSeconds.p95 * (1 + waitTolerance) + waitGrainSeconds) * 1000;
  const enough = { share: 0.95, waitMs, most: max * concurrency };
  const demanding = [() => kedaScaler(max), () => knativeScaler(max)];
  // Of more pools than instances, some would never have one.
  if (workloads.some(({ pools }) => pools.length > world.maxInstances)) return demanding;
  return [
    fixed('always-on-peak', 'as many as the busiest moment needs, all the time', peakSlots),
    fixed('always-on-least', "the fewest, all the time, whose p95 wait is Mimeo's", (workload) =>
      slotsForWait(workload, enough),
    ),
    ...demanding,
  ];
}

/** Where not all fit, each pool has one instance, and the others are divided in proportion. */
function fitting(counts: readonly number[], most: number): readonly number[] {
  const over = counts.reduce((sum, count) => sum + count, 0) / most;
  if (over <= 1) return counts;
  let left = most - counts.length;
  return counts.map((count) => {
    const more = Math.min(left, Math.floor((count - 1) / over));
    left -= more;
    return 1 + more;
  });
}

function verdictOf(mimeo: Outcome, other: Outcome): Verdict {
  return {
    baseline: other.policy,
    cheaper: mimeo.machineUsd <= other.machineUsd,
    asQuick: isAsQuick(mimeo, other),
    costRatio:
      other.machineUsd === 0 ? null : Math.round((mimeo.machineUsd / other.machineUsd) * 1000) / 1000,
  };
}

function isAsQuick(one: Outcome, other: Outcome): boolean {
  const { p95 } = other.waitSeconds;
  return one.waitSeconds.p95 <= Math.max(p95 * (1 + waitTolerance), p95 + waitGrainSeconds);
}

/** Settings that an owner would try: all combinations. */
const triedSettings = [0, 1, 2].flatMap((min) =>
  [0, 1, 2].flatMap((buffer) =>
    [60, 300].flatMap((idleSeconds) =>
      [null, 10].map((drainSeconds) => ({ min, buffer, idleSeconds, drainSeconds })),
    ),
  ),
);

interface Tried {
  readonly settings: (typeof triedSettings)[number];
  /** What they come to on the tuning seeds. */
  readonly outcome: Outcome;
}

interface Matching {
  readonly workloads: readonly Workload[];
  readonly policy: ScalingPolicy;
  readonly tuning: readonly Workload[];
  readonly outcomeOf: OutcomeOf;
}

/** Mimeo against each baseline with the cheapest settings that are as quick, chosen by the tuning seeds alone. */
async function matchAll(
  scalers: readonly ScalerFor[],
  others: readonly Outcome[],
  { workloads, policy, tuning, outcomeOf }: Matching,
): Promise<NonNullable<Comparison['matches']>> {
  const tried: Tried[] = [];
  for (const settings of triedSettings.filter(({ min }) => min <= policy.max)) {
    const scaler = mimeoScaler({ ...policy, ...settings });
    tried.push({ settings, outcome: await outcomeOf(tuning, () => scaler) });
  }
  const matches: NonNullable<Comparison['matches']> = [];
  for (const [at, baseline] of others.entries()) {
    const scalerFor = scalers[at];
    const goal = scalerFor && (await outcomeOf(tuning, scalerFor));
    const [best] = tried
      .filter(({ outcome }) => goal && isAsQuick(outcome, goal))
      .sort((a, b) => a.outcome.machineUsd - b.outcome.machineUsd);
    if (!best) {
      matches.push({ baseline: baseline.policy, settings: null, outcome: null, verdict: null });
      continue;
    }
    const { settings } = best;
    const outcome = await outcomeOf(workloads, () => mimeoScaler({ ...policy, ...settings }));
    matches.push({ baseline: baseline.policy, settings, outcome, verdict: verdictOf(outcome, baseline) });
  }
  return matches;
}

function describe(workloads: readonly Workload[]): Comparison['workload'] {
  const predictions = workloads.reduce((sum, { arrivalMs }) => sum + arrivalMs.length, 0);
  const runMs = workloads.reduce((sum, { runMs }) => sum + runMs.reduce((all, one) => all + one, 0), 0);
  const hours = workloads.reduce((sum, { horizonMs }) => sum + horizonMs, 0) / 3_600_000;
  return {
    name: workloads.map(({ name }) => name).join('; '),
    predictions,
    hours: Math.round(hours * 1000) / 1000,
    pools: Math.max(0, ...workloads.map(({ pools }) => pools.length)),
    runSecondsMean: predictions === 0 ? 0 : Math.round(runMs / predictions) / 1000,
  };
}
