import { Command } from 'commander';
import { CliError } from '../failure.ts';
import { print, say } from '../terminal.ts';
import { addStoreOptions, type StoreOptions, withStore } from './store-options.ts';

/** `mimeo tokens`: what opens an account. */
export function tokensCommand(_signal: AbortSignal): Command {
  const command = new Command('tokens').description("Make, list and revoke accounts' tokens.").addHelpText(
    'after',
    `
They work on the stored state itself, with the server running or not.

Examples:
  $ npx mimeo tokens create ada --name ci --table mimeo-prod
  $ npx mimeo tokens list ada
  $ npx mimeo tokens revoke ada 0f1e2d3c4b5a`,
  );
  const create = new Command('create')
    .description('Make a token, which is printed on stdout and shown only once.')
    .argument('<account>')
    .option('--name <text>', 'what it is for', 'made by the operator')
    .action(createAction);
  const list = new Command('list')
    .description('List the tokens of an account, without their secrets.')
    .argument('<account>')
    .option('--json', 'print them as JSON')
    .action(listAction);
  const revoke = new Command('revoke')
    .description('Have a token open nothing any more, from 30 seconds later at the latest.')
    .argument('<account>')
    .argument('<id>', 'as tokens list shows it')
    .action(revokeAction);
  for (const part of [create, list, revoke]) command.addCommand(addStoreOptions(part));
  return command;
}

async function createAction(
  account: string,
  options: StoreOptions & { readonly name: string },
): Promise<void> {
  const { createToken } = await import('../../operator.ts');
  const made = await withStore(options, async (store) => createToken(store, { account, name: options.name }));
  if (!made) throw noAccount(account);
  print(made.secret);
  say(`Made the token ${made.id} of ${account}. Its secret is shown this once and stored as a hash.`);
}

async function listAction(
  account: string,
  options: StoreOptions & { readonly json?: boolean },
): Promise<void> {
  const { listTokens } = await import('../../operator.ts');
  const tokens = await withStore(options, async (store) => listTokens(store, account));
  if (!tokens) throw noAccount(account);
  const shown = tokens.map(({ id, name, createdAt, revokedAt }) => ({
    id,
    name,
    created_at: new Date(createdAt).toISOString(),
    revoked_at: revokedAt === null ? null : new Date(revokedAt).toISOString(),
  }));
  if (options.json) return print(JSON.stringify(shown, undefined, 2));
  for (const { id, name, created_at, revoked_at } of shown)
    print([id, created_at, revoked_at === null ? 'valid' : `revoked ${revoked_at}`, name].join('  '));
  if (shown.length === 0) say(`${account} has no token that is listed.`);
}

async function revokeAction(account: string, id: string, options: StoreOptions): Promise<void> {
  const { revokeToken } = await import('../../operator.ts');
  const isThere = await withStore(options, async (store) => revokeToken(store, account, id));
  if (!isThere)
    throw new CliError(`${account} has no token ${id}. See which it has: npx mimeo tokens list ${account}`);
  say(`Revoked the token ${id} of ${account}. It opens nothing from 30 seconds from now at the latest.`);
}

function noAccount(name: string): CliError {
  return new CliError(`There is no account ${name}. Make it: npx mimeo accounts create ${name}`);
}
