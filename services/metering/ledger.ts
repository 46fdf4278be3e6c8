import { setTimeout as pause } from 'node:timers/promises';
import { hasEnded, type Job } from '../core/job.ts';
import { billingMonth, type UsageRecord, usageRecordOf } from '../core/usage.ts';
import { listJobRows, readJobRow } from '../data/job-rows.ts';
import { counterOp, countersOf, sumUp, Usage, type UsageCounter, type UsageSums } from '../data/usage.ts';
import type { Table } from '../ports/table/port.ts';
import { recordEnded } from './app.ts';

/** Jobs, or records, that are read at a time. */
const pageSize = 200;
/** Items that are read at once. */
const readsAtOnce = 20;
/** Of a job that ended so lately, the record may still be on its way. */
const onItsWayMs = 5 * 60_000;
/** How long an index may lag behind, and how often sums are looked at until two looks agree. */
const defaultSettleMs = 2000;
const mostLooks = 5;

/** What is wrong with the ledger. `repaired`: it was, and is not any more. */
export type LedgerDifference = { readonly account: string; readonly repaired: boolean } & (
  | { readonly kind: 'missing_record'; readonly job: string; readonly costMicroUsd: number }
  | {
      readonly kind: 'superfluous_record';
      readonly job: string;
      readonly costMicroUsd: number;
      readonly why: 'there is no such job' | 'the job has not ended';
    }
  /** `fields`: what the job says otherwise. */
  | { readonly kind: 'wrong_record'; readonly job: string; readonly fields: readonly string[] }
  | {
      readonly kind: 'wrong_counter';
      readonly month: string;
      /** As in `UsageCounter`. */
      readonly of: string;
      readonly expected: UsageSums;
      readonly found: UsageSums;
    }
);

/** What a look at the ledger found. */
export interface LedgerReport {
  readonly accounts: number;
  /** Jobs that have ended, and records, that were compared. */
  readonly jobs: number;
  readonly records: number;
  /** Jobs that have just ended and whose records may still be on their way. */
  readonly onTheirWay: number;
  /** Months of an account that were counted in all the time, so that their sums were not compared. */
  readonly busy: readonly string[];
  /** Whether everything was looked at; false where time was up. */
  readonly isComplete: boolean;
  /** The account that was looked at when time was up. */
  readonly stoppedAt?: string;
  readonly differences: readonly LedgerDifference[];
}

export interface LedgerOptions {
  readonly table: Table;
  readonly accounts: readonly string[];
  readonly now: () => number;
  /**
   * Epoch ms: only jobs that were created then or later, records of what ended then or later, and counters of the
   * months since. @default all
   */
  readonly since?: number;
  /** Whether missing records are written and counters set right. Records are never removed or changed. */
  readonly repair?: boolean;
  /** @default 2 s */
  readonly settleMs?: number;
  /** Asked before each page and each look at sums; what is left then is not looked at. */
  readonly isTimeUp?: () => boolean;
}

/** Derives the ledger from the jobs anew and compares: records one by one, then the sums of each month. */
export async function verifyLedger(options: LedgerOptions): Promise<LedgerReport> {
  const { accounts, isTimeUp = () => false } = options;
  const audit = new Audit({ ...options, isTimeUp });
  for (const account of accounts) {
    await audit.account(account);
    const report = audit.report(accounts.length);
    if (!report.isComplete) return { ...report, stoppedAt: account };
  }
  return audit.report(accounts.length);
}

class Audit {
  readonly #options: LedgerOptions & { readonly isTimeUp: () => boolean };
  readonly #usage: Usage;
  readonly #differences: LedgerDifference[] = [];
  readonly #busy: string[] = [];
  #jobs = 0;
  #records = 0;
  #onTheirWay = 0;
  #isComplete = true;

  constructor(options: LedgerOptions & { readonly isTimeUp: () => boolean }) {
    this.#options = options;
    this.#usage = new Usage(options.table);
  }

  report(accounts: number): LedgerReport {
    return {
      accounts,
      jobs: this.#jobs,
      records: this.#records,
      onTheirWay: this.#onTheirWay,
      busy: this.#busy,
      isComplete: this.#isComplete,
      differences: this.#differences,
    };
  }

  async account(account: string): Promise<void> {
    const { table, now, since } = this.#options;
    /** Of ended jobs. */
    const known = new Set<string>();
    let oldest = since;
    let cursor: string | undefined;
    do {
      if (this.#isOver()) return;
      const page = await listJobRows(table, account, { limit: pageSize, since, cursor });
      oldest ??= page.items[0]?.createdAt;
      const ended = page.items.filter(({ status }) => hasEnded(status));
      for (const { id } of ended) known.add(id);
      await this.#compareJobs(account, ended);
      cursor = page.next;
    } while (cursor !== undefined);
    if (oldest === undefined) return;
    for (const month of monthsBetween(oldest, now())) {
      if (this.#isOver()) return;
      await this.#compareMonth(account, month, known);
    }
  }

  #isOver(): boolean {
    if (this.#options.isTimeUp()) this.#isComplete = false;
    return !this.#isComplete;
  }

  async #compareJobs(account: string, jobs: readonly Job[]): Promise<void> {
    const { table, now, repair = false } = this.#options;
    const missing: Job[] = [];
    const readRecord = async (job: Job) => {
      const expected = usageRecordOf(job);
      return expected && { expected, found: await this.#usage.get(expected) };
    };
    for (const [job, pair] of await readEach(jobs, readRecord)) {
      if (!pair) continue;
      const { expected, found } = pair;
      this.#jobs += 1;
      if (!found && now() - expected.endedAt < onItsWayMs) this.#onTheirWay += 1;
      else if (!found) missing.push(job);
      const fields = found ? fieldsThatDiffer(expected, found) : [];
      if (fields.length > 0)
        this.#differences.push({ kind: 'wrong_record', account, job: job.id, fields, repaired: false });
    }
    if (repair && missing.length > 0) await recordEnded(table, missing);
    for (const { id, costMicroUsd } of missing) {
      const what = { job: id, costMicroUsd: costMicroUsd ?? 0, repaired: repair };
      this.#differences.push({ kind: 'missing_record', account, ...what });
    }
  }

  async #compareMonth(account: string, month: string, known: ReadonlySet<string>): Promise<void> {
    const { settleMs = defaultSettleMs } = this.#options;
    let last: string | undefined;
    for (let look = 0; look < mostLooks; look += 1) {
      if (this.#isOver()) return;
      if (look > 0) await pause(settleMs);
      const before = await this.#usage.counters(account, month);
      const expected = new Map<string, UsageSums>();
      const isRead = await this.#eachRecord(account, month, async (records) => {
        if (look === 0) await this.#findSuperfluous(account, records, known);
        for (const record of records) addTo(expected, record);
      });
      if (!isRead) return;
      const after = await this.#usage.counters(account, month);
      // What is counted in meanwhile says nothing.
      if (JSON.stringify(before) !== JSON.stringify(after)) continue;
      const wrong = countersThatDiffer(expected, after);
      const found = JSON.stringify(wrong);
      if (wrong.length === 0 || found === last) return await this.#reportCounters(account, month, wrong);
      last = found;
    }
    this.#busy.push(`${account} ${month}`);
  }

  /** @returns whether all of them were taken before time was up */
  async #eachRecord(
    account: string,
    month: string,
    take: (records: readonly UsageRecord[]) => Promise<void>,
  ): Promise<boolean> {
    const at = Date.parse(`${month}-01`);
    let cursor: string | undefined;
    do {
      if (this.#isOver()) return false;
      const page = await this.#usage.list(account, at, { limit: pageSize, cursor });
      await take(page.items);
      cursor = page.next;
    } while (cursor !== undefined);
    return true;
  }

  async #findSuperfluous(
    account: string,
    records: readonly UsageRecord[],
    known: ReadonlySet<string>,
  ): Promise<void> {
    this.#records += records.length;
    const { table, since = 0 } = this.#options;
    // Jobs of older records were not read, so each of them would be a read of its own.
    const unknown = records.filter(({ id, endedAt }) => endedAt >= since && !known.has(id));
    for (const [record, job] of await readEach(unknown, async ({ id }) => readJobRow(table, id))) {
      if (job && hasEnded(job.status)) continue;
      const { id, costMicroUsd } = record;
      const why = job ? 'the job has not ended' : 'there is no such job';
      const what = { job: id, costMicroUsd, why, repaired: false } as const;
      this.#differences.push({ kind: 'superfluous_record', account, ...what });
    }
  }

  async #reportCounters(account: string, month: string, wrong: readonly WrongCounter[]): Promise<void> {
    const { table, repair = false } = this.#options;
    for (const { of, expected, found } of wrong) {
      if (repair) await table.write([counterOp(account, month, of, minus(expected, found))]);
      this.#differences.push({
        kind: 'wrong_counter',
        account,
        month,
        of,
        expected,
        found,
        repaired: repair,
      });
    }
  }
}

interface WrongCounter {
  readonly of: string;
  readonly expected: UsageSums;
  readonly found: UsageSums;
}

const nothing: UsageSums = sumUp([]);

function countersThatDiffer(
  expected: ReadonlyMap<string, UsageSums>,
  counters: readonly UsageCounter[],
): readonly WrongCounter[] {
  const found = new Map(counters.map(({ of, sums }) => [of, sums]));
  return [...new Set([...expected.keys(), ...found.keys()])].sort().flatMap((of) => {
    const pair = { of, expected: expected.get(of) ?? nothing, found: found.get(of) ?? nothing };
    const { runs, billedMs, costMicroUsd } = minus(pair.expected, pair.found);
    return runs === 0 && billedMs === 0 && costMicroUsd === 0 ? [] : [pair];
  });
}

function addTo(sums: Map<string, UsageSums>, record: UsageRecord): void {
  for (const of of countersOf(record)) {
    const { runs, billedMs, costMicroUsd } = sums.get(of) ?? nothing;
    sums.set(of, {
      runs: runs + 1,
      billedMs: billedMs + record.billedMs,
      costMicroUsd: costMicroUsd + record.costMicroUsd,
    });
  }
}

function minus(one: UsageSums, other: UsageSums): UsageSums {
  return {
    runs: one.runs - other.runs,
    billedMs: one.billedMs - other.billedMs,
    costMicroUsd: one.costMicroUsd - other.costMicroUsd,
  };
}

function fieldsThatDiffer(expected: UsageRecord, found: UsageRecord): readonly string[] {
  return (Object.keys(expected) as (keyof UsageRecord)[]).filter((name) => expected[name] !== found[name]);
}

/** The months, UTC, from one time to another, both with theirs. */
function monthsBetween(from: number, to: number): readonly string[] {
  const months: string[] = [];
  const last = billingMonth(to);
  const month = new Date(`${billingMonth(from)}-01`);
  while (billingMonth(month.getTime()) <= last) {
    months.push(billingMonth(month.getTime()));
    month.setUTCMonth(month.getUTCMonth() + 1);
  }
  return months;
}

/** Each with what was read for it, a few at a time. */
async function readEach<T, R>(
  things: readonly T[],
  read: (thing: T) => Promise<R>,
): Promise<readonly [T, R][]> {
  const pairs: [T, R][] = [];
  for (let start = 0; start < things.length; start += readsAtOnce) {
    const some = things.slice(start, start + readsAtOnce);
    pairs.push(...(await Promise.all(some.map(async (thing) => [thing, await read(thing)] as [T, R]))));
  }
  return pairs;
}
