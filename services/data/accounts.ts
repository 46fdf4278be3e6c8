import type { Account, Token } from '../core/account.ts';
import { hashToken } from '../core/ids.ts';
import type { Table } from '../ports/table/port.ts';
import { fromStored, toStored } from './stored.ts';

/** Accounts and the tokens that act for them. */
export class Accounts {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  async put(account: Account): Promise<void> {
    await this.#table.write([
      {
        op: 'put',
        item: {
          pk: `ACCOUNT#${account.username}`,
          sk: 'ACCOUNT',
          data: toStored(account),
          keys: { listing: { pk: 'ACCOUNTS', sk: account.username } },
        },
      },
    ]);
  }

  /** Names of accounts in their order, without those that a release wrote which did not list them. */
  async names(): Promise<readonly string[]> {
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#table.query({ index: 'listing', pk: 'ACCOUNTS' }, { limit: 1000, cursor });
      names.push(...page.items.map((item) => fromStored<Account>(item).username));
      cursor = page.next;
    } while (cursor !== undefined);
    return names;
  }

  async get(username: string): Promise<Account | undefined> {
    const item = await this.#table.get({ pk: `ACCOUNT#${username}`, sk: 'ACCOUNT' });
    return item && fromStored<Account>(item);
  }

  /** @param secret what its holder sends; only its hash is stored */
  async putToken(secret: string, token: Token): Promise<void> {
    await this.#table.write([
      { op: 'put', item: { pk: `TOKEN#${hashToken(secret)}`, sk: 'TOKEN', data: toStored(token) } },
    ]);
  }

  /** The token of this secret, revoked or not. */
  async findToken(secret: string): Promise<Token | undefined> {
    const item = await this.#table.get({ pk: `TOKEN#${hashToken(secret)}`, sk: 'TOKEN' });
    return item && fromStored<Token>(item);
  }
}
