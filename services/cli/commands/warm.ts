import { Command } from 'commander';
import { z } from 'zod';
import { usageError } from '../failure.ts';
import { print, say } from '../terminal.ts';
import { readModelName } from './model-name.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

interface WarmOptions extends ServerOptions {
  readonly instances?: number;
  readonly seconds?: number;
  readonly stop?: boolean;
  readonly json?: boolean;
}

const warmAnswer = z.looseObject({
  version: z.string(),
  instances: z.number(),
  until: z.string(),
  eta_seconds: z.looseObject({ p50: z.number(), p90: z.number() }).nullable(),
  cost: z.looseObject({ sku: z.string(), max_micro_usd: z.number(), billed: z.boolean() }),
});

/** `mimeo warm`: has instances of a model ready before anybody needs them. */
export function warmCommand(signal: AbortSignal): Command {
  const command = new Command('warm')
    .description('Start instances of a model now, and keep them for a while.')
    .argument('<owner/name>', 'the model')
    .option('--instances <number>', 'how many (default: 1)', readWhole)
    .option('--seconds <number>', 'for how long, 60 to 3600 (default: 300)', readWhole)
    .option('--stop', 'let go of what was asked for before')
    .option('--json', 'print what the server answers as JSON on stdout');
  return addServerOptions(command)
    .addHelpText(
      'after',
      `
Asking again keeps them longer; it never adds up.

Examples:
  $ npx mimeo warm local/my-model
  $ npx mimeo warm local/my-model --instances 2 --seconds 1800
  $ npx mimeo warm local/my-model --stop
  $ npx mimeo warm local/my-model --json | jq .cost`,
    )
    .action((model: string, options: WarmOptions) => warm(model, options, signal));
}

async function warm(model: string, options: WarmOptions, signal: AbortSignal): Promise<void> {
  const { owner, name } = readModelName(model);
  const { instances, seconds } = options;
  const client = await connect(options);
  const path = `/models/${owner}/${name}/warm`;
  if (options.stop) {
    await client.call('DELETE', path, z.unknown(), { signal });
    return say(`${model} is kept warm no more: its instances go when they are idle.`);
  }
  const answer = await client.call('POST', path, warmAnswer, { json: { instances, seconds }, signal });
  if (options.json) return print(JSON.stringify(answer, null, 2));
  const { eta_seconds: eta, cost } = answer;
  const counted = answer.instances === 1 ? '1 instance' : `${answer.instances} instances`;
  say(`${counted} of ${model} on ${cost.sku} kept until ${answer.until}.`);
  say(
    eta === null
      ? 'When they are ready is not known: nothing of it has been started before.'
      : `Ready in about ${eta.p50} s (9 times of 10 within ${eta.p90} s).`,
  );
  const dollars = (cost.max_micro_usd / 1e6).toFixed(6).replace(/0{1,4}$/, '');
  say(
    `That takes at most $${dollars} of the platform; ${cost.billed ? 'you are billed for it' : 'you are billed for runs only'}.`,
  );
}

function readWhole(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw usageError(`"${text}" is not a whole number.`);
}
