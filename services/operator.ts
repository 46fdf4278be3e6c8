import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Account, Token } from './core/account.ts';
import { Accounts } from './data/accounts.ts';
import { isWebhookChange } from './data/deliveries.ts';
import { isEndedJob } from './data/jobs.ts';
import { type LedgerReport, verifyLedger } from './metering/ledger.ts';
import type { DeadLetter } from './ports/queue/sqs-dead-letters.ts';
import type { Table } from './ports/table/port.ts';
import { explainLetter, type LetterFinding } from './sweeper/dead-letters.ts';

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
  const { token, secret } = await accounts.addToken({ account, name, now: Date.now() });
  return { id: token.id, secret };
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

/** A platform's queues in AWS. */
export interface OperatedQueues {
  readonly tableName: string;
  /** Of the dead-letter queue. */
  readonly deadLetterArn: string;
  /** What the names of jobs' queues begin with; needed to send a job again. */
  readonly queuePrefix?: string;
}

/** A message of the dead-letter queue, explained. `done`: what was done with it just now. */
export interface ExplainedLetter extends Omit<LetterFinding, 'job'> {
  readonly id: string;
  /** ISO 8601. */
  readonly sentAt: string;
  readonly done: 'redriven' | 'dropped' | null;
}

/** Messages of the dead-letter queue that are looked at at a time. */
const mostLetters = 500;

/**
 * Reads the dead-letter queue of a platform, the oldest message first; nothing is removed from it unless `settle` says
 * so of a message: then its advice is followed.
 * @throws Error whose message says what is wrong and how to mend it
 */
export async function readDeadLetters(
  queues: OperatedQueues,
  settle: (letter: Omit<ExplainedLetter, 'done'>) => boolean = () => false,
): Promise<readonly ExplainedLetter[]> {
  const [{ createSqsClient, createSqsQueue }, { withDeadLetters }] = await Promise.all([
    import('./ports/queue/sqs.ts'),
    import('./ports/queue/sqs-dead-letters.ts'),
  ]);
  const client = createSqsClient();
  const table = await openOperatedTable(queues);
  const follow = async (letter: DeadLetter, { advice, job }: LetterFinding) => {
    if (advice === 'keep') return null;
    if (advice === 'redrive' && job) {
      const { queuePrefix: prefix, deadLetterArn } = queues;
      if (prefix === undefined)
        throw new Error('Name what the queues begin with: --queue-prefix or MIMEO_QUEUE_PREFIX');
      const queue = createSqsQueue({ client, prefix, deadLetterArn });
      await queue.send(job.pool, { jobId: job.id, group: job.account });
    }
    await letter.remove();
    return advice === 'redrive' ? ('redriven' as const) : ('dropped' as const);
  };
  try {
    return await withDeadLetters(
      { client, arn: queues.deadLetterArn, limit: mostLetters },
      async (letters) => {
        const explained: ExplainedLetter[] = [];
        for (const letter of letters) {
          const { job, ...finding } = await explainLetter(table, letter.body);
          const shown = { id: letter.id, sentAt: new Date(letter.sentAt).toISOString(), ...finding };
          const done = settle(shown) ? await follow(letter, { ...finding, job }) : null;
          explained.push({ ...shown, done });
        }
        return explained;
      },
    );
  } finally {
    await table.close();
    client.destroy();
  }
}
