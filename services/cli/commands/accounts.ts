import { Command } from 'commander';
import { nameSchema } from '../../core/model.ts';
import { CliError, usageError } from '../failure.ts';
import { print, say } from '../terminal.ts';
import { addStoreOptions, type StoreOptions, withStore } from './store-options.ts';

interface Options extends StoreOptions {
  readonly organization?: boolean;
  readonly displayName?: string;
}

/** `mimeo accounts`: who may call a platform. */
export function accountsCommand(_signal: AbortSignal): Command {
  const command = new Command('accounts').description('Make accounts of a platform.');
  const create = new Command('create')
    .description('Make an account and its first token, which is printed on stdout and shown only once.')
    .argument('<name>', 'its name, as in NAME/model')
    .option('--organization', 'an organization (default: a user)')
    .option('--display-name <text>', 'its name as people write it')
    .addHelpText(
      'after',
      `
It works on the stored state itself, with the server running or not.

Examples:
  $ npx mimeo accounts create ada --table mimeo-prod > token
  $ MIMEO_API_TOKEN=$(cat token) npx mimeo login https://mimeo.example.com`,
    )
    .action((name: string, options: Options) => createAction(name, options));
  command.addCommand(addStoreOptions(create));
  return command;
}

async function createAction(username: string, options: Options): Promise<void> {
  const problem = nameSchema.safeParse(username).error?.issues[0]?.message;
  if (problem !== undefined) throw usageError(`"${username}" is no name for an account: it ${problem}.`);
  const { createAccount } = await import('../../operator.ts');
  const type = options.organization ? 'organization' : 'user';
  const account = { username, type, name: options.displayName ?? username } as const;
  const made = await withStore(options, async (store) => createAccount(store, account));
  if (!made) {
    throw new CliError(
      `There is an account ${username} already. Make another token of it: npx mimeo tokens create ${username}`,
    );
  }
  print(made.secret);
  say(
    `Made the account ${username} with the token ${made.id}. Its secret is shown this once and stored as a hash.`,
  );
}
