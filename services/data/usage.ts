import { billingMonth, type UsageRecord } from '../core/usage.ts';
import type { Item, Key, Page, Table, WriteOp } from '../ports/table/port.ts';
import { fromStored, timeKey, toStored } from './stored.ts';

/** What is summed of usage records. */
export interface UsageSums {
  readonly runs: number;
  readonly billedMs: number;
  readonly costMicroUsd: number;
}

/** A counter of a month: what it is of and what it says. */
export interface UsageCounter {
  /** Such as TOTAL, DAY#2026-11-21 or MODEL#ada/painter. */
  readonly of: string;
  readonly sums: UsageSums;
}

/** What says which record is a job's. */
export type JobEnd = Pick<UsageRecord, 'id' | 'account' | 'endedAt'>;

/** The ledger, for reading. */
export class Usage {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** The record that is there for the end of a job. */
  async get(end: JobEnd): Promise<UsageRecord | undefined> {
    const item = await this.#table.get(recordKey(end));
    return item && fromStored<UsageRecord>(item);
  }

  /** An account's records of the month that `at` (epoch ms) is in, oldest first. */
  async list(
    account: string,
    at: number,
    options: { readonly limit: number; readonly cursor?: string },
  ): Promise<Page<UsageRecord>> {
    const page = await this.#table.query({ pk: recordPartition(account, at) }, options);
    return { items: page.items.map((item) => fromStored<UsageRecord>(item)), next: page.next };
  }

  /** The counters of an account's month (`2026-11`). */
  async counters(account: string, month: string): Promise<readonly UsageCounter[]> {
    const counters: UsageCounter[] = [];
    let cursor: string | undefined;
    do {
      const partition = { pk: counterPartition(account, month) };
      const page = await this.#table.query(partition, { limit: 1000, cursor });
      counters.push(...page.items.map((item) => ({ of: item.sk, sums: sumsOf(item) })));
      cursor = page.next;
    } while (cursor !== undefined);
    return counters;
  }
}

/** Puts a record into the ledger, once. */
export function recordOp(usage: UsageRecord): WriteOp {
  return { op: 'put', item: { ...recordKey(usage), data: toStored(usage) }, when: { absent: true } };
}

/** The counters of a month that a record is counted in, by their names in `UsageCounter`. */
export function countersOf(record: UsageRecord): readonly string[] {
  const { endedAt, model, deployment, hardware, token } = record;
  const day = new Date(endedAt).toISOString().slice(0, 10);
  const counters = ['TOTAL', `DAY#${day}`, `MODEL#${model}`, `SKU#${hardware}`, `TOKEN#${token}`];
  return deployment === null ? counters : [...counters, `DEPLOYMENT#${deployment}`];
}

/** What adds to one counter of an account's month. */
export function counterOp(account: string, month: string, of: string, sums: UsageSums): WriteOp {
  return { op: 'add', key: { pk: counterPartition(account, month), sk: of }, amounts: { ...sums } };
}

/** What records come to. */
export function sumUp(records: readonly UsageRecord[]): UsageSums {
  let [runs, billedMs, costMicroUsd] = [0, 0, 0];
  for (const record of records) {
    runs += 1;
    billedMs += record.billedMs;
    costMicroUsd += record.costMicroUsd;
  }
  return { runs, billedMs, costMicroUsd };
}

function sumsOf({ data }: Item): UsageSums {
  const read = (name: keyof UsageSums) => Number(data[name] ?? 0);
  return { runs: read('runs'), billedMs: read('billedMs'), costMicroUsd: read('costMicroUsd') };
}

/** A job ends once, so this names its record as well as its id does, and keeps a month's together without an index. */
function recordKey({ account, endedAt, id }: JobEnd): Key {
  return { pk: recordPartition(account, endedAt), sk: `${timeKey(endedAt)}#${id}` };
}

function recordPartition(account: string, at: number): string {
  return `USAGE#${account}#${billingMonth(at)}`;
}

function counterPartition(account: string, month: string): string {
  return `USAGE-SUMS#${account}#${month}`;
}
