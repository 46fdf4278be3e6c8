import { randomBytes } from 'node:crypto';
import { ConflictError, type Table } from '../ports/table/port.ts';
import { fromStored, toStored } from './stored.ts';

/** The secrets that webhooks are signed with, one an account, made when it is first asked for. */
export class WebhookSecrets {
  readonly #table: Table;
  readonly #known = new Map<string, string>();

  constructor(table: Table) {
    this.#table = table;
  }

  /** `whsec_` and 24 random bytes in base64, as Standard Webhooks wants it. It never changes. */
  async get(account: string): Promise<string> {
    const known = this.#known.get(account) ?? (await this.#load(account));
    this.#known.set(account, known);
    return known;
  }

  async #load(account: string): Promise<string> {
    const key = { pk: `ACCOUNT#${account}`, sk: 'WEBHOOK_SECRET' };
    for (;;) {
      const item = await this.#table.get(key);
      if (item) return fromStored<{ secret: string }>(item).secret;
      const secret = `whsec_${randomBytes(24).toString('base64')}`;
      try {
        await this.#table.write([
          { op: 'put', item: { ...key, data: toStored({ secret }) }, when: { absent: true } },
        ]);
        return secret;
      } catch (error) {
        // Somebody else was first: theirs it is.
        if (!(error instanceof ConflictError)) throw error;
      }
    }
  }
}
