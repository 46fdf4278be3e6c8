import { randomBytes } from 'node:crypto';
import type { Account, Token, TokenScope } from '../core/account.ts';
import { hashToken, newToken } from '../core/ids.ts';
import { ConflictError, type Item, type Key, type Table, type WriteOp } from '../ports/table/port.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

/** Accounts and the tokens that act for them. */
export class Accounts {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  async put(account: Account): Promise<void> {
    await this.#table.write([{ op: 'put', item: accountItem(account) }]);
  }

  /** Whether `putFirst` has ever been done for this account. */
  async hadFirstToken(username: string): Promise<boolean> {
    return (await this.#table.get(firstTokenKey(username))) !== undefined;
  }

  /**
   * Puts an account (unless it is there) and the token that comes with it, once and for good.
   * @param secret what the token's holder sends; only its hash is stored
   * @returns false where that had been done before
   */
  async putFirst(account: Account, secret: string, token: Token): Promise<boolean> {
    const absent = { absent: true } as const;
    const made: Item = { ...firstTokenKey(account.username), data: toStored({ token: token.id }) };
    const writes: readonly WriteOp[] = [
      { op: 'put', item: made, when: absent },
      { op: 'put', item: tokenItem(`TOKEN#${hashToken(secret)}`, token), when: absent },
    ];
    for (;;) {
      const known = await this.get(account.username);
      const accounts: readonly WriteOp[] = known
        ? []
        : [{ op: 'put', item: accountItem(account), when: absent }];
      try {
        await this.#table.write([...writes, ...accounts]);
        return true;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        if (await this.hadFirstToken(account.username)) return false;
        // Somebody made the account meanwhile, and nothing else: with that known it goes through.
        if (known) throw error;
      }
    }
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

  /** Makes a token. @returns it with its secret, which is shown this once: only its hash is stored */
  async addToken(made: {
    readonly account: string;
    readonly name: string;
    readonly scope?: TokenScope;
    /** Epoch ms. */
    readonly now: number;
  }): Promise<{ readonly token: Token; readonly secret: string }> {
    const { account, name, scope = 'all', now } = made;
    const secret = newToken();
    const id = randomBytes(6).toString('hex');
    const token: Token = { id, account, name, createdAt: now, revokedAt: null, scope };
    await this.putToken(secret, token);
    return { token, secret };
  }

  /** @param secret what its holder sends; only its hash is stored */
  async putToken(secret: string, token: Token): Promise<void> {
    await this.#table.write([{ op: 'put', item: tokenItem(`TOKEN#${hashToken(secret)}`, token) }]);
  }

  /** Tokens of an account, oldest first, revoked ones too; without those that a release wrote which did not list them. */
  async tokens(account: string): Promise<readonly Token[]> {
    return (await this.#tokenItems(account)).map((item) => fromStored<Token>(item));
  }

  /** Idempotent. @returns whether the account has such a token */
  async revokeToken(account: string, id: string, at: number): Promise<boolean> {
    const item = (await this.#tokenItems(account)).find(({ data }) => data.id === id);
    if (!item) return false;
    const token = fromStored<Token>(item);
    if (token.revokedAt === null)
      await this.#table.write([{ op: 'put', item: tokenItem(item.pk, { ...token, revokedAt: at }) }]);
    return true;
  }

  async #tokenItems(account: string): Promise<readonly Item[]> {
    const items: Item[] = [];
    let cursor: string | undefined;
    do {
      const partition = { index: 'listing', pk: `TOKENS#${account}` } as const;
      const page = await this.#table.query(partition, { limit: 1000, cursor });
      items.push(...page.items);
      cursor = page.next;
    } while (cursor !== undefined);
    return items;
  }

  /** The token of this secret, revoked or not. */
  async findToken(secret: string): Promise<Token | undefined> {
    const item = await this.#table.get({ pk: `TOKEN#${hashToken(secret)}`, sk: 'TOKEN' });
    return item && fromStored<Token>(item);
  }
}

function accountItem(account: Account): Item {
  return {
    pk: `ACCOUNT#${account.username}`,
    sk: 'ACCOUNT',
    data: toStored(account),
    keys: { listing: { pk: 'ACCOUNTS', sk: account.username } },
  };
}

/** What says that an account's first token was made; it outlives the token. */
function firstTokenKey(username: string): Key {
  return { pk: `ACCOUNT#${username}`, sk: 'FIRST-TOKEN' };
}

function tokenItem(pk: string, token: Token): Item {
  const listing = { pk: `TOKENS#${token.account}`, sk: `${timeKey(token.createdAt)}#${token.id}` };
  return { pk, sk: 'TOKEN', data: toStored(token), keys: { listing } };
}
