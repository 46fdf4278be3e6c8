import { z } from 'zod';
import { hasEnded, type Job } from '../core/job.ts';
import { Deliveries } from '../data/deliveries.ts';
import { readJobRow } from '../data/job-rows.ts';
import type { Table } from '../ports/table/port.ts';

/** What queues of jobs, and the queue of webhooks, hold. */
const jobHintSchema = z.object({ jobId: z.string(), group: z.string() });
const webhookHintSchema = z.object({ delivery: z.string(), dueAt: z.number() });

/** What a dead message was for, and what is to be done with it. */
export interface LetterFinding {
  readonly kind: 'job' | 'webhook' | 'unknown';
  /** Id of the job or of the delivery; null where the message is none of ours. */
  readonly of: string | null;
  /** The job's pool. */
  readonly pool: string | null;
  /** What has become of it since. */
  readonly state: string | null;
  /** `redrive`: it is still needed. `drop`: it is not. `keep`: a person has to look. */
  readonly advice: 'redrive' | 'drop' | 'keep';
  readonly why: string;
  /** What to send again. */
  readonly job?: Job;
}

/** Explains a message of the dead-letter queue by what the table says now. */
export async function explainLetter(table: Table, body: string): Promise<LetterFinding> {
  const message = parse(body);
  const jobHint = jobHintSchema.safeParse(message);
  if (jobHint.success) return await explainJob(table, jobHint.data.jobId);
  const webhookHint = webhookHintSchema.safeParse(message);
  if (webhookHint.success) return await explainWebhook(table, webhookHint.data.delivery);
  const why = 'it is no message that this release knows: another program, or another release, sent it';
  return { kind: 'unknown', of: null, pool: null, state: null, advice: 'keep', why };
}

async function explainJob(table: Table, id: string): Promise<LetterFinding> {
  const job = await readJobRow(table, id);
  if (!job) {
    return { kind: 'job', of: id, pool: null, state: null, advice: 'drop', why: 'there is no such job' };
  }
  const known = { kind: 'job', of: id, pool: job.pool, state: job.status } as const;
  if (hasEnded(job.status)) return { ...known, advice: 'drop', why: `the job has ended (${job.status})` };
  if (job.status === 'processing') {
    const why = `the job runs (attempt ${job.attempt}); should its runner be lost, it is sent again by itself`;
    return { ...known, advice: 'drop', why };
  }
  const why = 'the job still waits: its message was handed out many times and no runner took the job';
  return { ...known, advice: 'redrive', why, job };
}

async function explainWebhook(table: Table, id: string): Promise<LetterFinding> {
  const delivery = await new Deliveries(table).get(id);
  const known = { kind: 'webhook', of: id, pool: null, state: delivery?.state ?? null } as const;
  if (!delivery) return { ...known, advice: 'drop', why: 'the delivery is gone' };
  if (delivery.state !== 'pending') return { ...known, advice: 'drop', why: `it is ${delivery.state}` };
  // The sweeper goes through what is overdue each minute.
  return {
    ...known,
    advice: 'drop',
    why: 'it is still to be delivered, and the sweeper sends it again by itself',
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
