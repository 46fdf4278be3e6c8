import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { poolAnswer } from '../answers.ts';
import { ApiError, type Client } from '../client.ts';
import { usageError } from '../failure.ts';
import { allPages } from '../pages.ts';
import { describePools } from '../pools.ts';
import { print } from '../terminal.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

const watchMs = 1_000;
/** Moves a terminal's cursor home and clears what is below. */
const clearScreen = '\u001b[H\u001b[2J\u001b[3J';

interface PsOptions extends ServerOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

/** `mimeo ps`: pools, their instances and queues, and why each is as it is. */
export function psCommand(signal: AbortSignal): Command {
  const command = new Command('ps')
    .description('Show what runs: the pools of your models, their instances and queues, and why.')
    .option('--json', 'print the pools as JSON on stdout; with --watch a line each time they change')
    .option('-w, --watch', 'go on showing them, once a second, until Ctrl-C');
  return addServerOptions(command)
    .addHelpText(
      'after',
      `
A pool is the instances that serve one version on one hardware. It is shown for a day after its last prediction.

Examples:
  $ npx mimeo ps
  $ npx mimeo ps --watch
  $ npx mimeo ps --json | jq '.results[] | {model, queued, reason}'`,
    )
    .action((options: PsOptions) => ps(options, signal));
}

async function ps(options: PsOptions, signal: AbortSignal): Promise<void> {
  const client = await connect(options);
  let shown: string | undefined;
  for (;;) {
    const answer = await askPools(client, signal);
    const text = options.json
      ? JSON.stringify(answer, null, options.watch ? undefined : 2)
      : describePools(answer.results, Date.now());
    if (!options.watch) return print(text);
    if (process.stdout.isTTY && !options.json) print(`${clearScreen}${text}`);
    else if (text !== shown) print(text);
    shown = text;
    await sleep(watchMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function askPools(client: Client, signal: AbortSignal) {
  const results = await allPages(client, '/pools', poolAnswer, signal).catch((error: unknown) => {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    throw usageError(`${client.server.url} tells nothing of its pools: it is of an older release.`);
  });
  return { next: null, previous: null, results };
}
