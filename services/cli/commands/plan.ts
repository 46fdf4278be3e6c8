import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { Command } from 'commander';
import type { Plan } from '../../../infra/plan/plan.ts';
import type { Paint } from '../../../infra/plan/report/terminal.ts';
import { exitCodes, usageError } from '../failure.ts';
import { print, say } from '../terminal.ts';

interface PlanOptions {
  readonly json?: boolean;
  readonly html?: string;
  readonly diff?: string;
  readonly lines?: boolean;
  readonly resources?: boolean;
}

/** Makes the plan of an environment. */
export type Planner = (environment: string) => Promise<Plan>;

/**
 * `mimeo plan`: what `pulumi up` would build and cost. It needs neither credentials nor Pulumi's own program.
 * @param planner default: that of this checkout's program and policies
 */
export function planCommand(signal: AbortSignal, planner: Planner = planThisCheckout): Command {
  return new Command('plan')
    .description(
      'Show what an environment on AWS would be and cost, without credentials, before anything is built.',
    )
    .argument('<env>', 'the environment: dev, staging or prod (Pulumi.ENV.yaml)')
    .option('--json', 'print the plan as JSON on stdout')
    .option('--html <file>', 'write it as a page, too, with costs on a picture of the architecture')
    .option('--diff <env>', 'show what another environment has other than this one')
    .option('--lines', 'show every line of the bill, with where its price is from')
    .option('--resources', 'show every resource, by component')
    .addHelpText(
      'after',
      `
Idle is a month while nobody calls; peak one in which every machine that the configuration allows is busy all month.
What people do, such as how long a prediction runs, is supposed, and each line says so. The exit code is 1 where a
mandatory policy forbids the environment, and 2 where its configuration has mistakes.

Examples:
  $ npx mimeo plan dev
  $ npx mimeo plan prod --html plan.html
  $ npx mimeo plan staging --diff prod
  $ npx mimeo plan prod --json | jq '.monthlyUsd'`,
    )
    .action((environment: string, options: PlanOptions) => plan(environment, options, planner, signal));
}

async function plan(
  environment: string,
  options: PlanOptions,
  planner: Planner,
  signal: AbortSignal,
): Promise<void> {
  const own = await planOf(environment, planner);
  signal.throwIfAborted();
  const other = options.diff === undefined ? undefined : await planOf(options.diff, planner);
  signal.throwIfAborted();
  if (options.json) print(await asJson(own, other));
  else print(await inText(own, other, options));
  if (options.html !== undefined) {
    const { planAsPage } = await import('../../../infra/plan/report/page.ts');
    await writeFile(options.html, planAsPage(own));
    say(`Written: ${options.html}`);
  }
  const { mandatoryViolations } = await import('../../../infra/plan/plan.ts');
  if (mandatoryViolations(own).length > 0) process.exitCode = exitCodes.failure;
}

/** What a person has got wrong is told as that. */
async function planOf(environment: string, planner: Planner): Promise<Plan> {
  const [{ ConfigError }, { ConfigFileError }] = await Promise.all([
    import('../../../infra/config.ts'),
    import('../../../infra/plan/read-config.ts'),
  ]);
  return await planner(environment).catch((error: unknown) => {
    if (error instanceof ConfigError || error instanceof ConfigFileError) throw usageError(error.message);
    throw error;
  });
}

async function planThisCheckout(environment: string): Promise<Plan> {
  const { planEnvironment } = await import('../../../infra/plan/whole-stack.ts');
  return await planEnvironment(environment, join(import.meta.dirname, '../../..'));
}

async function asJson(own: Plan, other: Plan | undefined): Promise<string> {
  if (!other) return JSON.stringify(own, null, 2);
  const { diffPlans } = await import('../../../infra/plan/diff.ts');
  return JSON.stringify({ ...own, difference: diffPlans(own, other) }, null, 2);
}

async function inText(own: Plan, other: Plan | undefined, options: PlanOptions): Promise<string> {
  const [{ planInText }, { linesInText, resourcesInText }] = await Promise.all([
    import('../../../infra/plan/report/terminal.ts'),
    import('../../../infra/plan/report/details.ts'),
  ]);
  if (other) return await differenceOf(own, other);
  const parts = [
    ...(options.lines ? [linesInText(own, paint)] : []),
    ...(options.resources ? [resourcesInText(own, paint)] : []),
    planInText(own, paint),
  ];
  return parts.join('\n\n');
}

async function differenceOf(own: Plan, other: Plan): Promise<string> {
  const [{ diffPlans }, { differenceInText }] = await Promise.all([
    import('../../../infra/plan/diff.ts'),
    import('../../../infra/plan/report/difference.ts'),
  ]);
  return differenceInText(diffPlans(own, other), paint);
}

/** Colors where stdout is a terminal that wants them. */
const paint: Paint = {
  bold: (text) => styleText('bold', text, { stream: process.stdout }),
  dim: (text) => styleText('dim', text, { stream: process.stdout }),
  good: (text) => styleText('green', text, { stream: process.stdout }),
  bad: (text) => styleText('red', text, { stream: process.stdout }),
  warn: (text) => styleText('yellow', text, { stream: process.stdout }),
};
