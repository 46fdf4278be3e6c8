import { Command, CommanderError } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { accountsCommand } from './commands/accounts.ts';
import { dlqCommand } from './commands/dlq.ts';
import { doctorCommand } from './commands/doctor.ts';
import { initCommand } from './commands/init.ts';
import { ledgerCommand } from './commands/ledger.ts';
import { loginCommand } from './commands/login.ts';
import { logsCommand } from './commands/logs.ts';
import { lsCommand } from './commands/ls.ts';
import { planCommand } from './commands/plan.ts';
import { psCommand } from './commands/ps.ts';
import { pushCommand } from './commands/push.ts';
import { pushesCommand } from './commands/pushes.ts';
import { registryCommand } from './commands/registry.ts';
import { rmCommand } from './commands/rm.ts';
import { runCommand } from './commands/run.ts';
import { runnerCommand } from './commands/runner.ts';
import { runnerTokensCommand } from './commands/runner-tokens.ts';
import { simulateCommand } from './commands/simulate.ts';
import { tokensCommand } from './commands/tokens.ts';
import { warmCommand } from './commands/warm.ts';
import { webhooksCommand } from './commands/webhooks.ts';
import { CliError, exitCodes } from './failure.ts';
import { say } from './terminal.ts';

/** Why everything is to stop, and how the process then ends. */
class Stopped extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('stopped');
    this.exitCode = exitCode;
  }
}

const stopping = new AbortController();
process.on('SIGINT', () => stopping.abort(new Stopped(exitCodes.interrupted)));
process.on('SIGTERM', () => stopping.abort(new Stopped(exitCodes.terminated)));
// `mimeo run … | head`: whoever read the output has gone. Without this, the error would end the process at once.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') say(`mimeo: the output cannot be written: ${error.message}`);
  process.exitCode = error.code === 'EPIPE' ? exitCodes.readerGone : exitCodes.failure;
  stopping.abort(new Stopped(process.exitCode));
});

const program = new Command('mimeo')
  .description('A Replicate of your own: push Cog models to a server of yours and run them.')
  .version(packageJson.version)
  .exitOverride()
  .showHelpAfterError('Run it with --help to see how it is used.')
  .addHelpText(
    'after',
    `
Examples:
  $ npx mimeo init my-model
  $ npx mimeo push my-model local/my-model
  $ npx mimeo run local/my-model text=Hello

Without a login or --url, commands talk to the server on this machine (npm start).
MIMEO_URL and MIMEO_API_TOKEN name another one.`,
  );
const commands = [
  initCommand,
  loginCommand,
  pushCommand,
  pushesCommand,
  registryCommand,
  runCommand,
  lsCommand,
  psCommand,
  logsCommand,
  rmCommand,
  runnerCommand,
  runnerTokensCommand,
  warmCommand,
  webhooksCommand,
  accountsCommand,
  tokensCommand,
  ledgerCommand,
  dlqCommand,
  planCommand,
  simulateCommand,
  doctorCommand,
];
for (const command of commands) {
  const made = command(stopping.signal).copyInheritedSettings(program);
  for (const part of made.commands) part.copyInheritedSettings(program);
  program.addCommand(made);
}

const exitCode = await program.parseAsync().then(() => 0, exitCodeOf);
process.exitCode ??= exitCode;

function exitCodeOf(error: unknown): number {
  if (stopping.signal.reason instanceof Stopped) return stopping.signal.reason.exitCode;
  // Commander has said by itself what is wrong.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
  if (error instanceof CliError) {
    say(`mimeo: ${error.message}`);
    return error.exitCode;
  }
  const { code, path, message } = error as NodeJS.ErrnoException;
  say(
    code && path
      ? `mimeo: ${path}: ${message}`
      : `mimeo: this is a bug in Mimeo, please report it: ${message}`,
  );
  if (process.env.MIMEO_DEBUG) console.error(error);
  return exitCodes.failure;
}
