import { readFile, writeFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { styleText } from 'node:util';
import { Command, InvalidArgumentError } from 'commander';
import type { Paint } from '../../../infra/plan/report/terminal.ts';
import { type Comparison, type ComparisonOptions, compare } from '../../simulator/compare.ts';
import {
  makeWorkload,
  parseSpec,
  SpecError,
  type SyntheticSpec,
  specGrammar,
  tuningSeeds,
} from '../../simulator/synthetic.ts';
import { isAzureFunctions, readAzureFunctions } from '../../simulator/traces/azure-functions.ts';
import { isAzureLlm, readAzureLlm, supposedTokenSpeed } from '../../simulator/traces/azure-llm.ts';
import { readHistory } from '../../simulator/traces/history.ts';
import { TraceError } from '../../simulator/traces/lines.ts';
import type { Workload } from '../../simulator/workload.ts';
import type { Times } from '../../simulator/world.ts';
import { usageError } from '../failure.ts';
import { readEnvironment, type SimulatedEnvironment } from '../simulation/setting.ts';
import { print, say } from '../terminal.ts';

interface SimulateOptions {
  readonly trace?: string;
  readonly durations?: string;
  readonly synthetic?: string;
  readonly config: string;
  readonly sku?: string;
  readonly match?: boolean;
  readonly json?: boolean;
  readonly html?: string;
  readonly min?: number;
  readonly buffer?: number;
  readonly idle?: number;
  readonly drain?: number;
  readonly concurrency?: number;
  readonly maxMachines?: number;
  readonly node?: number;
  readonly stoppedNode?: number;
  readonly imageGb?: number;
  readonly pull?: number;
  readonly setup?: number;
}

/** `mimeo simulate`: what traffic would feel and cost under the director's own policy, and under others. */
export function simulateCommand(signal: AbortSignal): Command {
  return new Command('simulate')
    .description(
      'Simulate traffic on an environment: waits and costs under the director’s policy and under others.',
    )
    .option(
      '--trace <file>',
      'traffic that was: Azure Functions 2019, Azure LLM inference, or Mimeo’s history',
    )
    .option('--durations <file>', 'how long the functions of an Azure Functions trace ran')
    .option('--synthetic <spec>', 'traffic that is made up: see below')
    .requiredOption('--config <env>', 'the environment whose machines and prices hold (Pulumi.ENV.yaml)')
    .option('--sku <sku>', 'the tier of machines (default: the first with a GPU)')
    .option('--match', 'find settings that are as quick as each baseline, too, by seeds kept for tuning')
    .option('--json', 'print everything as JSON on stdout')
    .option('--html <file>', 'write it as a page with charts, too')
    .option('--min <n>', 'instances that each pool keeps', natural)
    .option('--buffer <n>', 'instances kept free beside those that work', natural)
    .option('--idle <seconds>', 'idle time after which an instance is stopped', positive)
    .option('--drain <seconds>', 'time in which new instances should be through (default: a setup)', positive)
    .option('--concurrency <n>', 'predictions that one instance runs at once', count)
    .option('--max-machines <n>', 'machines at most', count)
    .option('--node <seconds>', 'until a new machine is ready', nonNegative)
    .option('--stopped-node <seconds>', 'until a machine that stood by is ready', nonNegative)
    .option('--image-gb <gb>', 'size of a model’s image', nonNegative)
    .option('--pull <mb-per-second>', 'how fast a machine pulls it', positive)
    .option('--setup <seconds>', 'how long a model’s setup takes', nonNegative)
    .addHelpText(
      'after',
      `
${specGrammar}

A history of your own is what GET /v1/predictions lists, one prediction as JSON on each line. Times that are not given
are published figures; --json and --html name their sources. The same words give the same answer, to the byte.

Examples:
  $ npx mimeo simulate --synthetic diurnal --config prod
  $ npx mimeo simulate --synthetic bursty:burst=100,seed=held-out --config prod --match --html bursty.html
  $ npx mimeo simulate --trace history.jsonl --config prod --sku gpu-a40-small --idle 300
  $ npx mimeo simulate --trace invocations_per_function_md.anon.d01.csv \\
      --durations function_durations_percentiles.anon.d01.csv --config prod --max-machines 100`,
    )
    .action((options: SimulateOptions) => simulateTraffic(options, signal));
}

async function simulateTraffic(options: SimulateOptions, signal: AbortSignal): Promise<void> {
  const { sku, maxMachines, concurrency, min, buffer, idle, drain } = options;
  const over = { sku, maxMachines, concurrency, min, buffer, idle, drain, times: timesOf(options) };
  const traffic = await readTraffic(options);
  const env = await readEnvironment(options.config, over);
  signal.throwIfAborted();
  const between = async () => {
    // A signal is heard only where nothing is being reckoned.
    await setImmediate();
    signal.throwIfAborted();
  };
  const comparison = await compare({ ...traffic, world: env.world, policy: env.policy, between });
  const { sourcesInWords } = await import('../simulation/text.ts');
  if (options.json) {
    const { environment, region, machines, world, policy } = env;
    const setting = {
      environment,
      region,
      tier: machines,
      times: world.times,
      sources: sourcesInWords(env),
      policy,
    };
    print(JSON.stringify({ ...comparison, setting }, null, 2));
  } else await printText(comparison, env);
  if (options.html !== undefined) {
    const { comparisonAsPage } = await import('../simulation/page.ts');
    await writeFile(options.html, comparisonAsPage(comparison, env));
    say(`Written: ${options.html}`);
  }
}

async function printText(comparison: Comparison, env: SimulatedEnvironment): Promise<void> {
  const { comparisonInText } = await import('../simulation/text.ts');
  print(comparisonInText(comparison, env, paint));
}

function timesOf({ node, stoppedNode, imageGb, pull, setup }: SimulateOptions): Partial<Times> {
  return {
    ...(node === undefined ? {} : { nodeSeconds: node }),
    ...(stoppedNode === undefined ? {} : { stoppedNodeSeconds: stoppedNode }),
    ...(imageGb === undefined ? {} : { imageGb }),
    ...(pull === undefined ? {} : { pullMbPerSecond: pull }),
    ...(setup === undefined ? {} : { setupSeconds: setup }),
  };
}

type Traffic = Pick<ComparisonOptions, 'workloads' | 'tuning'>;

async function readTraffic(options: SimulateOptions): Promise<Traffic> {
  const { trace, synthetic, match } = options;
  if ((trace === undefined) === (synthetic === undefined)) {
    throw usageError('Say either --trace FILE or --synthetic SPEC: what traffic is to be simulated.');
  }
  try {
    if (synthetic !== undefined) return madeUp(parseSpec(synthetic), match === true);
    if (match) throw usageError('--match takes --synthetic: a trace has no seeds to tune by.');
    return { workloads: [await readTrace(trace ?? '', options.durations)] };
  } catch (error) {
    if (error instanceof SpecError || error instanceof TraceError) throw usageError(error.message);
    throw error;
  }
}

function madeUp(spec: SyntheticSpec, match: boolean): Traffic {
  const workloads = spec.seeds.map((seed) => makeWorkload(spec, seed));
  if (workloads.every(({ arrivalMs }) => arrivalMs.length === 0)) {
    throw new SpecError('That is not one prediction: take more hours, or a higher rate.');
  }
  return match ? { workloads, tuning: tuningSeeds.map((seed) => makeWorkload(spec, seed)) } : { workloads };
}

async function readTrace(file: string, durations: string | undefined): Promise<Workload> {
  const trace = { file, text: await readFile(file, 'utf8') };
  const [header = ''] = trace.text.split('\n', 1);
  if (isAzureFunctions(header)) {
    if (durations === undefined) {
      throw usageError(
        `${file} tells how often functions were called; --durations FILE tells how long they ran.`,
      );
    }
    const times = { file: durations, text: await readFile(durations, 'utf8') };
    return readAzureFunctions(trace, times, { seed: 1 });
  }
  if (isAzureLlm(header)) return readAzureLlm(trace, supposedTokenSpeed);
  if (!header.trimStart().startsWith('{')) {
    throw usageError(
      `${file} begins neither as an Azure Functions trace (HashOwner,HashApp,HashFunction,Trigger,1,…) nor as an Azure LLM trace (TIMESTAMP,ContextTokens,GeneratedTokens) nor as JSON lines of predictions.`,
    );
  }
  const { workload, leftOut } = readHistory(trace);
  if (leftOut > 0) say(`${leftOut} predictions of ${file} are left out: they never ran, or have not ended.`);
  return workload;
}

function numberFrom(text: string, isFine: (value: number) => boolean, rule: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || !isFine(value)) throw new InvalidArgumentError(rule);
  return value;
}

function natural(text: string): number {
  return numberFrom(
    text,
    (value) => Number.isInteger(value) && value >= 0,
    'It takes a whole number from 0.',
  );
}

function count(text: string): number {
  return numberFrom(
    text,
    (value) => Number.isInteger(value) && value >= 1,
    'It takes a whole number from 1.',
  );
}

function positive(text: string): number {
  return numberFrom(text, (value) => value > 0, 'It takes a number above 0.');
}

function nonNegative(text: string): number {
  return numberFrom(text, (value) => value >= 0, 'It takes a number from 0.');
}

/** Colors where stdout is a terminal that wants them. */
const paint: Paint = {
  bold: (text) => styleText('bold', text, { stream: process.stdout }),
  dim: (text) => styleText('dim', text, { stream: process.stdout }),
  good: (text) => styleText('green', text, { stream: process.stdout }),
  bad: (text) => styleText('red', text, { stream: process.stdout }),
  warn: (text) => styleText('yellow', text, { stream: process.stdout }),
};
