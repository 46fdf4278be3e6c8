import { Command } from 'commander';
import type { LedgerDifference, LedgerReport } from '../../operator.ts';
import { exitCodes } from '../failure.ts';
import { print, say } from '../terminal.ts';
import { readTime } from '../times.ts';
import { addStoreOptions, type StoreOptions, withStore } from './store-options.ts';

interface Options extends StoreOptions {
  readonly account?: string;
  readonly since?: string;
  readonly repair?: boolean;
  readonly json?: boolean;
}

/** `mimeo ledger`: whether what is billed is what was run. */
export function ledgerCommand(_signal: AbortSignal): Command {
  const command = new Command('ledger').description('Check what is billed against what was run.');
  const verify = new Command('verify')
    .description('Derive the usage records and their sums from the jobs anew, and tell what differs.')
    .option('--account <name>', 'only this account (default: all)')
    .option('--since <time>', 'only jobs since then: 30m, 2h, 3d or an ISO 8601 time (default: all)')
    .option('--repair', 'write the records that are missing and set the sums right; nothing is removed')
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      `
It works on the stored state itself, with the server running or not. The exit code is 1 where something differs and
was not repaired.

Examples:
  $ npx mimeo ledger verify
  $ npx mimeo ledger verify --table mimeo-prod --since 2d --json`,
    )
    .action((options: Options) => verifyAction(options));
  command.addCommand(addStoreOptions(verify));
  return command;
}

async function verifyAction(options: Options): Promise<void> {
  const { account, repair } = options;
  const since = options.since === undefined ? undefined : readTime(options.since, Date.now());
  const { verifyLedgerOf } = await import('../../operator.ts');
  const report = await withStore(options, async (store) => verifyLedgerOf(store, { account, since, repair }));
  if (options.json) print(JSON.stringify(report, undefined, 2));
  else show(report);
  if (report.differences.some(({ repaired }) => !repaired)) process.exitCode = exitCodes.failure;
}

function show({ accounts, jobs, records, onTheirWay, busy, differences }: LedgerReport): void {
  for (const difference of differences) print(describe(difference));
  for (const month of busy)
    say(`${month} was counted in all the time, so its sums were not compared: run it again.`);
  const repaired = differences.filter((difference) => difference.repaired).length;
  const fresh = onTheirWay > 0 ? `; ${onTheirWay} have just ended, their records may be on their way` : '';
  print(`${differences.length} differences${repaired > 0 ? `, ${repaired} repaired` : ''}`);
  say(`Compared ${jobs} jobs that have ended and ${records} records of ${accounts} accounts${fresh}.`);
}

function describe(difference: LedgerDifference): string {
  const mark = difference.repaired ? 'repaired' : 'differs';
  return [mark.padEnd(8), difference.account, sentence(difference)].join('  ');
}

function sentence(difference: LedgerDifference): string {
  switch (difference.kind) {
    case 'missing_record':
      return `${difference.job} has no usage record (${difference.costMicroUsd} micro-dollars)`;
    case 'superfluous_record':
      return `${difference.job} has a usage record, but ${difference.why}`;
    case 'wrong_record':
      return `${difference.job} has a usage record that differs in ${difference.fields.join(', ')}`;
    case 'wrong_counter': {
      const { month, of, expected, found } = difference;
      const sums = ({ runs, billedMs, costMicroUsd }: typeof found) =>
        `${runs} runs, ${billedMs} ms, ${costMicroUsd} micro-dollars`;
      return `${month} ${of} says ${sums(found)}; its records come to ${sums(expected)}`;
    }
  }
}
