import type { Page, Table } from '../ports/table/port.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

/** For how long one can look up what became of a push. */
const keptSeconds = 30 * 24 * 3600;

/** What became of one image that was pushed to a model's repository. */
export interface Push {
  /** `owner/name`; such a model need not exist. */
  readonly model: string;
  /** Of what was pushed: an image's manifest, or an index of several. */
  readonly digest: string;
  readonly tag: string | null;
  /** Epoch milliseconds. */
  readonly pushedAt: number;
  /** Id of the version that it is; null where it was refused. */
  readonly version: string | null;
  /** Why it was refused, and what to do; null where it was not. */
  readonly reason: string | null;
}

/** Pushes to models' repositories in the last 30 days. */
export class Pushes {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** A push that is told of twice is one. */
  async record(push: Push): Promise<void> {
    const id = `${push.digest}#${push.tag ?? ''}`;
    const listing = { pk: `PUSHES#${push.model}`, sk: `${timeKey(push.pushedAt)}#${id}` };
    await this.#table.write([
      {
        op: 'put',
        item: {
          pk: `MODEL#${push.model}`,
          sk: `PUSH#${id}`,
          data: toStored({ ...push }),
          keys: { listing },
          expiresAt: Math.ceil(push.pushedAt / 1000) + keptSeconds,
        },
      },
    ]);
  }

  /** The newest first. */
  async list(
    model: string,
    options: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<Push>> {
    const page = await this.#table.query(
      { index: 'listing', pk: `PUSHES#${model}` },
      { descending: true, limit: options.limit, cursor: options.cursor },
    );
    return { items: page.items.map((item) => fromStored<Push>(item)), next: page.next };
  }
}
