import { styleText } from 'node:util';
import { Command } from 'commander';
import { diagnose, type Finding } from '../doctor/checks.ts';
import { probeMachine } from '../doctor/probes.ts';
import { exitCodes } from '../failure.ts';
import { print } from '../terminal.ts';

/** `mimeo doctor`: what this machine has and lacks for Mimeo, with a mend for each fault. */
export function doctorCommand(signal: AbortSignal): Command {
  return new Command('doctor')
    .description('Look at this machine: what Mimeo needs, what is there, and how to mend what is not.')
    .option('--json', 'print the findings as JSON on stdout')
    .addHelpText(
      'after',
      `
It changes nothing. The exit code is 1 where something fails; a warning is none.

Examples:
  $ npx mimeo doctor
  $ MIMEO_HOME=/srv/mimeo npx mimeo doctor --json | jq '.checks[] | select(.level != "ok")'`,
    )
    .action((options: { json?: boolean }) => doctor(options, signal));
}

async function doctor(options: { json?: boolean }, signal: AbortSignal): Promise<void> {
  const checks = diagnose(await probeMachine(process.env, signal));
  const ok = checks.every(({ level }) => level !== 'fail');
  if (options.json) print(JSON.stringify({ ok, checks }, null, 2));
  else for (const finding of checks) print(describe(finding));
  if (!ok) process.exitCode = exitCodes.failure;
}

const colors = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

function describe({ level, name, found, mend }: Finding): string {
  const mark = styleText(colors[level], level.padEnd(4), { stream: process.stdout });
  const first = `${mark}  ${name.padEnd(12)}  ${found}`;
  return mend === undefined ? first : `${first}\n${' '.repeat(20)}→ ${mend}`;
}
