import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Account, Token } from './core/account.ts';
import { newToken } from './core/ids.ts';
import { Accounts } from './data/accounts.ts';
import { isWebhookChange } from './data/deliveries.ts';
import { isEndedJob } from './data/jobs.ts';
import { type LedgerReport, verifyLedger } from './metering/ledger.ts';
import type { Table } from './ports/table/port.ts';

export type { LedgerDifference, LedgerReport } from './metering/ledger.ts';

/** The state that an operator works on: that of one machine, or a table in the cloud. */
export type OperatedStore = { readonly home: string } | { readonly tableName: string };

/** The account that everything on one machine belongs to; releases that did not list accounts made it. */
const localAccount = 'local';

/**
 * Verifies the ledger of a store, whose platform may be running.
 * @param options `account`: only this one; `since`: epoch ms, see `LedgerOptions`
 * @throws Error whose message says what is wrong and how to mend it
 */
export async function verifyLedgerOf(
  store: OperatedStore,
  options: { readonly account?: string; readonly since?: number; readonly repair?: boolean },
): Promise<LedgerReport> {
  const table = await openOperatedTable(store);
  try {
    const accounts = options.account === undefined ? await accountsOf(store, table) : [options.account];
    return await verifyLedger({ ...options, table, accounts, now: Date.now });
  } finally {
    await table.close();
  }
}

async function accountsOf(store: OperatedStore, table: Table): Promise<readonly string[]> {
  const names = await new Accounts(table).names();
  return 'home' in store ? [...new Set([localAccount, ...names])] : names;
}

/** A token as it was made: its secret is kept nowhere. */
export interface CreatedToken {
  readonly id: string;
  readonly secret: string;
}

/** Makes an account with a first token. @returns undefined where there is one of this name */
export async function createAccount(
  store: OperatedStore,
  account: Pick<Account, 'username' | 'type' | 'name'>,
): Promise<CreatedToken | undefined> {
  return await withAccounts(store, async (accounts) => {
    if (await accounts.get(account.username)) return undefined;
    await accounts.put({ ...account, githubUrl: null, avatarUrl: null, createdAt: Date.now() });
    return await addToken(accounts, account.username, 'first');
  });
}

/** @returns undefined where there is no such account */
export async function createToken(
  store: OperatedStore,
  { account, name }: { readonly account: string; readonly name: string },
): Promise<CreatedToken | undefined> {
  return await withAccounts(store, async (accounts) =>
    (await accounts.get(account)) ? await addToken(accounts, account, name) : undefined,
  );
}

/** Tokens of an account, without their secrets. @returns undefined where there is no such account */
export async function listTokens(
  store: OperatedStore,
  account: string,
): Promise<readonly Token[] | undefined> {
  return await withAccounts(store, async (accounts) =>
    (await accounts.get(account)) ? await accounts.tokens(account) : undefined,
  );
}

/** From 30 s later at the latest it opens nothing. @returns whether the account has such a token */
export async function revokeToken(store: OperatedStore, account: string, id: string): Promise<boolean> {
  return await withAccounts(store, async (accounts) => accounts.revokeToken(account, id, Date.now()));
}

async function addToken(accounts: Accounts, account: string, name: string): Promise<CreatedToken> {
  const secret = newToken();
  const id = randomBytes(6).toString('hex');
  await accounts.putToken(secret, { id, account, name, createdAt: Date.now(), revokedAt: null });
  return { id, secret };
}

async function withAccounts<T>(store: OperatedStore, work: (accounts: Accounts) => Promise<T>): Promise<T> {
  const table = await openOperatedTable(store);
  try {
    return await work(new Accounts(table));
  } finally {
    await table.close();
  }
}

/** @throws Error whose message says what is wrong and how to mend it */
async function openOperatedTable(store: OperatedStore): Promise<Table> {
  // Cursors live no longer than the command.
  const cursorKey = randomBytes(32);
  if ('tableName' in store) {
    const { createDynamoClient, createDynamoTable } = await import('./ports/table/dynamodb.ts');
    return createDynamoTable({ client: createDynamoClient(), tableName: store.tableName, cursorKey });
  }
  const path = join(store.home, 'mimeo.db');
  if (!existsSync(path)) {
    throw new Error(
      `There is no ${path}. Name the folder of the server's state with --home or MIMEO_HOME, or a table with --table.`,
    );
  }
  const { openSqliteTable } = await import('./ports/table/sqlite.ts');
  const recordsChange = (item: Parameters<typeof isEndedJob>[0]) => isEndedJob(item) || isWebhookChange(item);
  return openSqliteTable({ path, cursorKey, recordsChange, feedImages: 'new' });
}
