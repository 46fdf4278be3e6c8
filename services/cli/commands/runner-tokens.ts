import { Command } from 'commander';
import { z } from 'zod';
import { print, say } from '../terminal.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

const tokenAnswer = z.looseObject({
  id: z.string(),
  name: z.string(),
  scope: z.string(),
  created_at: z.string(),
  revoked_at: z.string().nullable(),
});
const newTokenAnswer = tokenAnswer.extend({ token: z.string() });

interface Options extends ServerOptions {
  readonly json?: boolean;
}

/** `mimeo runner-tokens`: what lends machines to one's own models and opens nothing else. */
export function runnerTokensCommand(signal: AbortSignal): Command {
  const command = new Command('runner-tokens')
    .description('Make, list and revoke tokens for machines that are lent to your models.')
    .addHelpText(
      'after',
      `
Such a token opens nothing else: a machine that has it cannot read or make predictions by it.

Examples:
  $ npx mimeo runner-tokens create workstation
  $ npx mimeo runner-tokens list
  $ npx mimeo runner-tokens revoke 0f1e2d3c4b5a`,
    );
  const add = (name: string, description: string) =>
    addServerOptions(new Command(name).description(description)).option('--json', 'print the answer as JSON');
  command.addCommand(
    add('create', 'Make one, which is printed on stdout and shown only once.')
      .argument('<name>', 'what it is for, such as the name of the machine')
      .action((name: string, options: Options) => create(name, options, signal)),
  );
  command.addCommand(
    add('list', 'Those there are, without their secrets.').action((options: Options) =>
      list(options, signal),
    ),
    { isDefault: true },
  );
  command.addCommand(
    addServerOptions(new Command('revoke').description('Have one open nothing any more, within six minutes.'))
      .argument('<id>', 'as runner-tokens list shows it')
      .action((id: string, options: ServerOptions) => revoke(id, options, signal)),
  );
  return command;
}

async function create(name: string, options: Options, signal: AbortSignal): Promise<void> {
  const client = await connect(options);
  const json = { name, scope: 'runner' };
  const made = await client.call('POST', '/account/tokens', newTokenAnswer, { json, signal });
  print(options.json ? JSON.stringify(made, undefined, 2) : made.token);
  say(
    `Made ${made.id}. On the machine: npx mimeo runner OWNER/NAME --url ${client.server.url} --token TOKEN`,
  );
}

async function list(options: Options, signal: AbortSignal): Promise<void> {
  const client = await connect(options);
  const all = await client.call('GET', '/account/tokens', z.array(tokenAnswer), { signal });
  const tokens = all.filter(({ scope }) => scope === 'runner');
  if (options.json) return print(JSON.stringify(tokens, undefined, 2));
  for (const { id, created_at, revoked_at, name } of tokens)
    print([id, created_at, revoked_at === null ? 'valid' : `revoked ${revoked_at}`, name].join('  '));
  if (tokens.length === 0) say('There is none. Make one: npx mimeo runner-tokens create NAME');
}

async function revoke(id: string, options: ServerOptions, signal: AbortSignal): Promise<void> {
  const client = await connect(options);
  await client.call('DELETE', `/account/tokens/${encodeURIComponent(id)}`, z.unknown(), { signal });
  say(`Revoked ${id}. Machines that have it take nothing more from six minutes from now at the latest.`);
}
