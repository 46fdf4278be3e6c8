import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import { bundleServices } from '../../build/bundles.ts';
import type { StackConfig } from '../config.ts';
import { lookAtAccount } from './account.ts';
import { lookAtCostTags } from './cost-tags.ts';
import { takeDown } from './down.ts';
import { lookAtMachine, runProgram } from './machine.ts';
import { policyPackRun } from './policy-pack.ts';
import { checkLines, type Preflight, preflight, readConfigFrom } from './preflight.ts';
import { hasStack, readStackState } from './stack-state.ts';

/** `npm run up|preview|down -- ENV`: Pulumi's CLI, once everything has been looked at that it needs. */
const repository = join(import.meta.dirname, '../..');

/** How the process ends, beside what Pulumi ends with. */
const exitCodes = { failure: 1, usage: 2 } as const;

interface Options {
  readonly folder: string;
  readonly check?: boolean;
  readonly json?: boolean;
  readonly force?: boolean;
  readonly policies: boolean;
  readonly yes?: boolean;
}

type Verb = 'up' | 'preview' | 'down';

const program = new Command('infra')
  .description('Stand the platform up in your AWS account, see what would change, or take it down.')
  .showHelpAfterError('Run it with --help to see how it is used.')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : exitCodes.usage));
addCommand('up', 'Make or change an environment.', 'pulumi up');
addCommand('preview', 'Say what `up` would change, and change nothing.', 'pulumi preview');
addCommand('down', 'Take an environment away, with what it made while it ran.', 'pulumi destroy');

function addCommand(verb: Verb, description: string, wraps: string): void {
  program
    .command(verb)
    .usage('ENV [options] [options of Pulumi]')
    .description(description)
    .argument('<environment>', 'such as dev, whose settings are in Pulumi.dev.yaml')
    .argument('[pulumi...]', `handed to ${wraps}`)
    .option('--check', 'look at what is needed, and stop there')
    .option('--json', 'the same, as JSON on stdout')
    .option('--force', 'go on where a check failed')
    .option('--no-policies', 'without the policies of ./policies')
    .option('--yes', 'do not ask')
    .option('--folder <path>', 'where Pulumi.yaml lies', repository)
    .allowUnknownOption()
    .addHelpText(
      'after',
      `
Exit code: 0, 1 where a check failed or you said no, 2 where it was called wrongly, else that of ${wraps}.

Examples:
  $ npm run ${verb} -- dev
  $ npm run ${verb} -- dev --check`,
    )
    .action(async (environment: string, args: readonly string[], options: Options) => {
      process.exitCode = await perform(verb, environment, args, {
        ...options,
        folder: resolve(options.folder),
      });
    });
}

async function perform(
  verb: Verb,
  environment: string,
  args: readonly string[],
  options: Options,
): Promise<number> {
  const { folder } = options;
  const looked = await preflight(
    {
      config: readConfigFrom(folder, environment),
      machine: () => lookAtMachine(folder, runProgram),
      account: lookAtAccount,
      costTags: lookAtCostTags,
      bundle: async () => (await bundleServices(repository, join(folder, 'dist'))).length,
      env: process.env,
    },
    { forDown: verb === 'down' },
  );
  const hasFailed = report(looked, options.json === true);
  if (options.check || options.json) return hasFailed ? exitCodes.failure : 0;
  if (!looked.config || (hasFailed && !options.force)) {
    say(`Nothing was changed.${looked.config ? ' --force goes on all the same.' : ''}`);
    return exitCodes.failure;
  }
  if (verb === 'down') return await down(looked.config, args, options);
  if (!(await hasStack(folder, environment, runProgram))) {
    const made = await pulumi(folder, ['stack', 'init', environment]);
    if (made !== 0) return made;
  }
  const policies = options.policies ? policyPackRun(folder, process.env) : { args: [], env: {} };
  const words = [verb, '--stack', environment, ...policies.args, ...(options.yes ? ['--yes'] : [])];
  // How many machines a group has is the autoscaler's to say. Whatever changes of a group's size, its max say, is sent
  // with the number that the state holds, so that an old one would end machines at work.
  return await pulumi(folder, [...words, '--refresh', ...args], policies.env);
}

async function down(
  { environment, region, protection }: StackConfig,
  args: readonly string[],
  options: Options,
): Promise<number> {
  const { folder } = options;
  const state = await readStackState(folder, environment, runProgram);
  if (!state) {
    say(`There is no stack ${environment}: nothing to take down.`);
    return 0;
  }
  return await takeDown({
    region,
    environment,
    state,
    isProtected: protection.deletion,
    run: runProgram,
    say,
    confirm: () => confirm(environment, options.yes === true),
    destroy: (more, env) =>
      pulumi(folder, ['destroy', '--stack', environment, '--yes', ...more, ...args], env),
  });
}

/** @returns whether a check failed */
function report({ checks }: Preflight, asJson: boolean): boolean {
  if (asJson) process.stdout.write(`${JSON.stringify({ checks }, undefined, 2)}\n`);
  else for (const check of checks) for (const line of checkLines(check)) say(line);
  return checks.some(({ level }) => level === 'fail');
}

async function confirm(environment: string, isYes: boolean): Promise<boolean> {
  if (isYes) return true;
  if (!process.stdin.isTTY) {
    say('Nobody is here to ask: say --yes.');
    return false;
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`Type ${environment} to take all of it away: `);
    return answer.trim() === environment;
  } finally {
    lines.close();
  }
}

/** Runs the CLI as if the person had. @returns its exit code */
async function pulumi(
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const child = spawn('pulumi', args, { cwd, stdio: 'inherit', env: { ...process.env, ...env } });
  // A terminal's Ctrl-C reaches the CLI by itself, which ends what it is at, and takes a second one for impatience.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGINT'));
  const [code] = await once(child, 'close');
  return typeof code === 'number' ? code : exitCodes.failure;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  await program.parseAsync();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = exitCodes.failure;
}
